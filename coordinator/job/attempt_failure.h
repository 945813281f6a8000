// How an attempt failed, as people are told of it: which rank first, where, in what, and what its log said.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/launch/launcher.h"
#include "coordinator/lifecycle/job_lifecycle.h"
#include "coordinator/membership/membership.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// What is known of the ranks of the attempt. `members` is null where nothing is.
struct AttemptRanks {
  const Membership* members;
  const std::vector<HostSlots>& hosts;
};

// `facts`, and what the rank did, as it said last. Texts are UTF-8 in one line, without control characters.
v1::AttemptFailure attempt_failure(const FailureFacts& facts, const AttemptRanks& ranks);

// What the end of its processes tells besides: log lines, signal and exit code. The rank that Open MPI names takes the
// place of one that others had told of, where a signal ended it before anybody asked it to end: those had lost it.
// False: nothing that was not known.
bool complete_failure(v1::AttemptFailure& failure, const LaunchExit& exit, bool was_asked_to_end,
                      const AttemptRanks& ranks);

// The newest lines of a log, at most 20 of at most 512 bytes each, and 4096 bytes of all: without those that the
// processes of `others` have logged (the form of worker/log.h), frames and blank ones.
std::vector<std::string> newest_log_lines(std::string_view log, const std::set<std::int64_t>& others);

}  // namespace equipoise::coordinator
