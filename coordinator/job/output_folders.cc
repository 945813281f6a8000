#include "coordinator/job/output_folders.h"

#include <spdlog/spdlog.h>

#include <stdexcept>
#include <utility>

#include "common/base/path_check.h"
#include "common/config/output_check.h"
#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_place(const fs::path& output, const std::string& what) {
  throw std::invalid_argument("output: " + output.string() + " " + what + ": choose another folder");
}

OutputPlace place_of(const fs::path& output) { return {.field = "output", .path = output}; }

}  // namespace

OutputFolders::OutputFolders(OutputSettings settings) : settings_(std::move(settings)) {}

fs::path OutputFolders::resolved(const fs::path& path) const {
  if (settings_.ranks_run == RanksRun::kOnThisMachine) return resolved_path(path);
  const fs::path plain = path.lexically_normal();
  return plain.has_filename() ? plain : plain.parent_path();
}

void OutputFolders::check_state(const JobConfig& config) const {
  if (settings_.state.empty()) return;
  const fs::path state = resolved(settings_.state), output = resolved(config.output);
  if (is_within(output, state)) refuse_place(config.output, "is in the coordinator's state folder");
  for (const char* part : kRunParts) {
    if (is_within(state, output / part)) refuse_place(config.output, "would replace the coordinator's state folder");
  }
}

void OutputFolders::check(const JobConfig& config) const {
  settings_.roots.check(config);
  const fs::path output = resolved(config.output);
  if (!output.has_relative_path()) refuse_place(config.output, "is the root of the file system");
  check_state(config);
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
  if (settings_.ranks_run == RanksRun::kElsewhere || config.launch.mode == LaunchMode::kExternal) return;
  check_output_place(config);
  try {
    OutputLock::check_free(place_of(config.output));
  } catch (const OutputInUse& in_use) {
    throw Refusal(Refusal::Code::kFailedPrecondition, in_use.what());
  }
}

void OutputFolders::acquire(const std::string& id, const JobConfig& config) {
  acquire(id, config, OutputLock::reserve_folder);
}

void OutputFolders::acquire(const std::string& id, const JobConfig& config, Reserve reserve) {
  Folder folder{.path = resolved(config.output),
                .record = own_record({.program = "this coordinator", .job = id}),
                .lock = std::nullopt};
  const bool is_launched_here =
      settings_.ranks_run == RanksRun::kOnThisMachine && config.launch.mode == LaunchMode::kCoordinator;
  if (is_launched_here) {
    try {
      folder.lock.emplace(reserve(place_of(config.output), {.program = "equipoise-coordinator", .job = id}));
    } catch (const OutputInUse& in_use) {
      throw Refusal(Refusal::Code::kFailedPrecondition, in_use.what());
    }
  }
  held_.erase(id);
  held_.emplace(id, std::move(folder));
}

std::string OutputFolders::reacquire(const std::string& id, const JobConfig& config) {
  return reacquire(id, config, OutputLock::reserve_folder);
}

std::string OutputFolders::reacquire_beside_ranks(const std::string& id, const JobConfig& config) {
  return reacquire(id, config, OutputLock::reserve_beside_writer);
}

std::string OutputFolders::reacquire(const std::string& id, const JobConfig& config, Reserve reserve) {
  try {
    acquire(id, config, reserve);
  } catch (const Refusal& taken) {
    return taken.what();
  } catch (const std::exception& wrong) {
    spdlog::warn("job {}: {}", id, wrong.what());
  }
  return "";
}

std::vector<std::string> OutputFolders::jobs() const {
  std::vector<std::string> ids;
  for (const auto& [id, folder] : held_) ids.push_back(id);
  return ids;
}

}  // namespace equipoise::coordinator
