// Work of the core on files of runs. Their file system may never answer, as one over a network whose server is gone,
// and the core does one thing at a time: so the work has a thread of its own, which is left alone where it takes too
// long.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <utility>

#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {

// How long the core waits for what a call needs, for that where it is many files, and for what can be done later too.
inline constexpr std::chrono::seconds kPatienceOfCalls{5}, kPatienceOfMany{30}, kPatienceOfTicks{1};

inline std::string silence_of_files(const std::filesystem::path& place) {
  return "the file system of " + place.string() + " does not answer";
}

// `work` owns all that it uses, as it may end long after whoever wanted it.
template <typename Result>
std::future<Result> begin_on_files(std::function<Result()> work) {
  std::packaged_task<Result()> task(std::move(work));
  std::future<Result> result = task.get_future();
  std::thread(std::move(task)).detach();
  return result;
}

// What `work` returns or throws; Refusal kUnavailable where that takes longer than `patience`.
template <typename Result>
Result done_on_files(std::chrono::seconds patience, const std::filesystem::path& place, std::function<Result()> work) {
  std::future<Result> result = begin_on_files<Result>(std::move(work));
  if (result.wait_for(patience) != std::future_status::ready) {
    throw Refusal(Refusal::Code::kUnavailable, ErrorReason::kFilesUnreachable,
                  silence_of_files(place) + "; try again once it does");
  }
  return result.get();
}

}  // namespace equipoise::coordinator
