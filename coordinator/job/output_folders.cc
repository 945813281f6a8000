#include "coordinator/job/output_folders.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <utility>

#include "common/base/path_check.h"
#include "common/config/output_check.h"
#include "coordinator/job/file_wait.h"
#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_place(const fs::path& output, const std::string& what) {
  throw std::invalid_argument("output: " + output.string() + " " + what + ": choose another folder");
}

OutputPlace place_of(const fs::path& output) { return {.field = "output", .path = output}; }

fs::path resolved_place(const OutputSettings& settings, const fs::path& path) {
  if (settings.ranks_run == RanksRun::kOnThisMachine) return resolved_path(path);
  const fs::path plain = path.lexically_normal();
  return plain.has_filename() ? plain : plain.parent_path();
}

void check_state(const OutputSettings& settings, const JobConfig& config, const fs::path& output) {
  if (settings.state.empty()) return;
  const fs::path state = resolved_place(settings, settings.state);
  if (is_within(output, state)) refuse_place(config.output, "is in the coordinator's state folder");
  for (const char* part : kRunParts) {
    if (is_within(state, output / part)) refuse_place(config.output, "would replace the coordinator's state folder");
  }
}

// The output, resolved.
fs::path checked_place(const OutputSettings& settings, const JobConfig& config) {
  settings.roots.check(config);
  const fs::path output = resolved_place(settings, config.output);
  if (!output.has_relative_path()) refuse_place(config.output, "is the root of the file system");
  check_state(settings, config, output);
  return output;
}

}  // namespace

OutputFolders::OutputFolders(OutputSettings settings)
    : settings_(std::make_shared<const OutputSettings>(std::move(settings))) {}

// What a silent file system keeps the program from releasing, the program's end does.
OutputFolders::~OutputFolders() {
  const auto held = std::make_shared<decltype(held_)>(std::move(held_));
  if (!held->empty()) begin_on_files<void>([held] { held->clear(); }).wait_for(kPatienceOfCalls);
}

bool OutputFolders::is_launched_here(const JobConfig& config) const {
  return settings_->ranks_run == RanksRun::kOnThisMachine && config.launch.mode == LaunchMode::kCoordinator;
}

std::vector<fs::path> OutputFolders::files_of(const JobConfig& config) const {
  std::vector<fs::path> files;
  if (settings_->ranks_run == RanksRun::kOnThisMachine) files.push_back(config.output);
  if (settings_->roots.allows_all()) return files;
  for (auto& [field, path] : paths_of(config)) files.push_back(std::move(path));
  return files;
}

void OutputFolders::check(const JobConfig& config) const {
  const bool asks_for_files = !files_of(config).empty();
  const fs::path output =
      asks_for_files
          ? done_on_files<fs::path>(kPatienceOfMany, config.output,
                                    [settings = settings_, config] { return checked_place(*settings, config); })
          : checked_place(*settings_, config);
  for (const auto& [id, folder] : held_) {
    const bool is_inside = is_within(output, folder.path), is_around = is_within(folder.path, output);
    if (!is_inside && !is_around) continue;
    const std::string where =
        output == folder.path
            ? std::string()
            : std::string(is_inside ? "inside of " : "around ").append(folder.path.string()).append(", ");
    throw Refusal(Refusal::Code::kFailedPrecondition,
                  "output: " + config.output.string() + " is " + where + "in use by " + owner_text(folder.record) +
                      "; wait until that has ended, cancel it, or choose another output");
  }
  if (!is_launched_here(config)) return;
  try {
    done_on_files<void>(kPatienceOfCalls, config.output, [config] {
      check_output_place(config);
      OutputLock::check_free(place_of(config.output));
    });
  } catch (const OutputInUse& in_use) {
    throw Refusal(Refusal::Code::kFailedPrecondition, in_use.what());
  }
}

// On disk, where ranks of this machine write it.
std::function<OutputFolders::Folder()> OutputFolders::reservation(const std::string& id, const JobConfig& config,
                                                                  Reserve reserve) const {
  return [settings = settings_, id, output = config.output, is_here = is_launched_here(config), reserve] {
    Folder folder{.path = resolved_place(*settings, output),
                  .record = own_record({.program = "this coordinator", .job = id}),
                  .lock = std::nullopt};
    if (!is_here) return folder;
    try {
      folder.lock.emplace(reserve(place_of(output), {.program = "equipoise-coordinator", .job = id}));
    } catch (const OutputInUse& in_use) {
      throw Refusal(Refusal::Code::kFailedPrecondition, in_use.what());
    }
    return folder;
  };
}

void OutputFolders::hold(const std::string& id, Folder folder) {
  release(id);
  held_.emplace(id, std::move(folder));
}

void OutputFolders::acquire(const std::string& id, const JobConfig& config) {
  const std::function<Folder()> reserve = reservation(id, config, OutputLock::reserve_folder);
  const bool is_elsewhere = settings_->ranks_run == RanksRun::kElsewhere;  // no file is asked for
  hold(id, is_elsewhere ? reserve() : done_on_files<Folder>(kPatienceOfCalls, config.output, reserve));
}

std::string OutputFolders::reacquire(const std::string& id, const JobConfig& config) {
  return reacquire(id, config, OutputLock::reserve_folder);
}

std::string OutputFolders::reacquire_beside_ranks(const std::string& id, const JobConfig& config) {
  return reacquire(id, config, OutputLock::reserve_beside_writer);
}

// One that was not answered is waited for, and no other is begun meanwhile.
std::string OutputFolders::reacquire(const std::string& id, const JobConfig& config, Reserve reserve) {
  const auto [awaited, is_new] = awaited_.try_emplace(id);
  if (is_new) awaited->second = begin_on_files<Folder>(reservation(id, config, reserve));
  const auto patience = is_new ? kPatienceOfTicks : std::chrono::seconds(0);
  if (awaited->second.wait_for(patience) != std::future_status::ready) return silence_of_files(config.output);
  std::future<Folder> answer = std::move(awaited->second);
  awaited_.erase(awaited);
  try {
    hold(id, answer.get());
  } catch (const Refusal& taken) {
    return taken.what();
  } catch (const std::exception& wrong) {
    spdlog::warn("job {}: {}", id, wrong.what());
  }
  return "";
}

// The lock is taken off the disk, by a thread that is left alone where the disk does not answer.
void OutputFolders::release(const std::string& id) {
  awaited_.erase(id);
  const auto held = held_.find(id);
  if (held == held_.end()) return;
  const auto folder = std::make_shared<Folder>(std::move(held->second));
  held_.erase(held);
  if (!folder->lock) return;
  const fs::path path = folder->path;
  const auto done = begin_on_files<void>([folder] { folder->lock.reset(); });
  if (done.wait_for(kPatienceOfTicks) == std::future_status::ready) return;
  spdlog::warn("job {}: {}; its lock there goes once it does", id, silence_of_files(path));
}

std::vector<std::string> OutputFolders::jobs() const {
  std::vector<std::string> ids;
  for (const auto& [id, folder] : held_) ids.push_back(id);
  return ids;
}

}  // namespace equipoise::coordinator
