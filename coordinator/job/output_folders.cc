#include "coordinator/job/output_folders.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"
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

fs::path plain_place(const fs::path& path) {
  const fs::path plain = path.lexically_normal();
  return plain.has_filename() ? plain : plain.parent_path();
}

bool overlap(const fs::path& one, const fs::path& other) { return is_within(one, other) || is_within(other, one); }

OutputRecord record_of(const std::string& id) { return own_record({.program = "this coordinator", .job = id}); }

}  // namespace

// --- what is asked of files

fs::path OutputFiles::resolved(const fs::path& path) const {
  return settings_->ranks_run == RanksRun::kOnThisMachine ? resolved_path(path) : plain_place(path);
}

std::vector<fs::path> OutputFiles::files_of(const JobConfig& config) const {
  std::vector<fs::path> files;
  if (settings_->ranks_run == RanksRun::kOnThisMachine) files.push_back(config.output);
  if (settings_->roots.allows_all()) return files;
  for (auto& [field, path] : paths_of(config)) files.push_back(std::move(path));
  return files;
}

void OutputFiles::check_state(const JobConfig& config, const fs::path& output) const {
  if (settings_->state.empty()) return;
  const fs::path state = resolved(settings_->state);
  if (is_within(output, state)) refuse_place(config.output, "is in the coordinator's state folder");
  for (const char* part : kRunParts) {
    if (is_within(state, output / part)) refuse_place(config.output, "would replace the coordinator's state folder");
  }
}

fs::path OutputFiles::checked_place(const JobConfig& config) const {
  settings_->roots.check(config);
  fs::path output = resolved(config.output);
  if (!output.has_relative_path()) refuse_place(config.output, "is the root of the file system");
  check_state(config, output);
  return output;
}

namespace {

bool is_launched_here(const OutputSettings& settings, const JobConfig& config) {
  return settings.ranks_run == RanksRun::kOnThisMachine && config.launch.mode == LaunchMode::kCoordinator;
}

}  // namespace

void OutputFiles::check_free(const JobConfig& config) const {
  if (!is_launched_here(*settings_, config)) return;
  check_output_place(config);
  try {
    OutputLock::check_free(place_of(config.output));
  } catch (const OutputInUse& in_use) {
    throw Refusal(Refusal::Code::kFailedPrecondition, in_use.what());
  }
}

std::optional<OutputLock> OutputFiles::locked(const std::string& id, const JobConfig& config, Take take) const {
  if (!is_launched_here(*settings_, config)) return std::nullopt;
  try {
    return take(place_of(config.output), {.program = "equipoise-coordinator", .job = id});
  } catch (const OutputInUse& in_use) {
    throw Refusal(Refusal::Code::kFailedPrecondition, in_use.what());
  }
}

std::optional<OutputLock> OutputFiles::reserve(const std::string& id, const JobConfig& config) const {
  return locked(id, config, OutputLock::reserve_folder);
}

std::optional<OutputLock> OutputFiles::reserve_beside_ranks(const std::string& id, const JobConfig& config) const {
  return locked(id, config, OutputLock::reserve_beside_writer);
}

// --- who has which

// Between the core and an errand: whoever finds that the other has come puts the lock where it belongs.
struct OutputFolders::Asked {
  explicit Asked(SteadyTime time) : since(time) {}

  const SteadyTime since;
  std::mutex mutex;  // guards all below
  bool is_wanted = true;
  bool is_answered = false;
  fs::path path;
  std::optional<OutputLock> lock;
  std::string taken_by;  // why another has it; empty: no other has
  bool is_wrong = false;
};

OutputFolders::OutputFolders(OutputSettings settings, FileErrands* errands)
    : settings_(std::make_shared<const OutputSettings>(std::move(settings))),
      errands_(errands != nullptr ? *errands : errands_at_once_) {}

OutputFolders::~OutputFolders() {
  while (!held_.empty()) release(held_.begin()->first);
}

OutputFolders::Leaving OutputFolders::take(const std::string& id, const JobConfig& config, const fs::path& output) {
  for (const auto& [owner, folder] : held_) {
    if (!overlap(output, folder.path)) continue;
    const std::string where = output == folder.path
                                  ? std::string()
                                  : std::string(is_within(output, folder.path) ? "inside of " : "around ")
                                        .append(folder.path.string())
                                        .append(", ");
    throw Refusal(Refusal::Code::kFailedPrecondition,
                  "output: " + config.output.string() + " is " + where + "in use by " + owner_text(folder.record) +
                      "; wait until that has ended, cancel it, or choose another output");
  }
  Leaving leaving;
  for (const auto& [path, lock] : leaving_) {
    auto there = overlap(output, path) ? lock.lock() : nullptr;
    if (there != nullptr) leaving.push_back(std::move(there));
  }
  if (!id.empty()) held_.emplace(id, Folder{.path = output, .record = record_of(id), .is_in_making = true});
  return leaving;
}

void OutputFolders::keep(const std::string& id, std::optional<OutputLock> lock) {
  const auto held = held_.find(id);
  EQUIPOISE_CHECK(held != held_.end());
  if (lock) held->second.lock.emplace(*std::move(lock));
  held->second.is_in_making = false;
}

OutputFolders::Folders::iterator OutputFolders::ask(const std::string& id, const JobConfig& config, SteadyTime now,
                                                    Beside beside) {
  const auto asked = std::make_shared<Asked>(now);
  // Until its file system has said where a link in it leads, that is its place.
  const auto held =
      held_.emplace(id, Folder{.path = plain_place(config.output), .record = record_of(id), .asked = asked}).first;
  const auto work = [asked, files = files(), id, config, beside] {
    fs::path path;
    std::optional<OutputLock> lock;
    std::string taken_by;
    bool is_wrong = false;
    try {
      path = files.resolved(config.output);
      auto reserved = beside == Beside::kRanks ? files.reserve_beside_ranks(id, config) : files.reserve(id, config);
      if (reserved) lock.emplace(*std::move(reserved));
    } catch (const Refusal& taken) {
      taken_by = taken.what();
      if (beside == Beside::kRanks) spdlog::warn("job {}: {}", id, taken_by);
    } catch (const std::exception& wrong) {
      is_wrong = true;
      spdlog::warn("job {}: {}", id, wrong.what());
    }
    const std::lock_guard guard(asked->mutex);
    asked->is_answered = true;
    asked->path = path;
    asked->taken_by = taken_by;
    asked->is_wrong = is_wrong;
    if (asked->is_wanted && lock) asked->lock.emplace(*std::move(lock));
  };
  if (settings_->ranks_run == RanksRun::kElsewhere) {  // no file is asked for
    work();
  } else {
    errands_.run_errand(config.output, work);
  }
  return held;
}

std::optional<std::string> OutputFolders::reacquire(const std::string& id, const JobConfig& config, SteadyTime now) {
  constexpr std::chrono::seconds kSilence{1};
  auto held = held_.find(id);
  if (held == held_.end()) held = ask(id, config, now, Beside::kNobody);
  Folder& folder = held->second;
  if (folder.asked == nullptr) return std::nullopt;
  const std::shared_ptr<Asked> asked = folder.asked;
  const std::lock_guard guard(asked->mutex);
  if (!asked->is_answered) {
    if (now - asked->since < kSilence) return "";
    return "the file system of " + config.output.string() + " does not answer";
  }
  if (asked->is_wrong || !asked->taken_by.empty()) {
    held_.erase(held);
    return asked->is_wrong ? std::nullopt : std::optional(asked->taken_by);
  }
  folder.path = asked->path;
  if (asked->lock) folder.lock.emplace(*std::move(asked->lock));
  folder.asked = nullptr;
  return std::nullopt;
}

void OutputFolders::reacquire_beside_ranks(const std::string& id, const JobConfig& config, SteadyTime now) {
  if (!held_.contains(id)) ask(id, config, now, Beside::kRanks);
}

bool OutputFolders::holds(const std::string& id) const {
  const auto held = held_.find(id);
  return held != held_.end() && held->second.asked == nullptr;
}

void OutputFolders::release(const std::string& id) {
  const auto held = held_.find(id);
  if (held == held_.end()) return;
  Folder folder = std::move(held->second);
  held_.erase(held);
  if (folder.asked != nullptr) {
    const std::lock_guard guard(folder.asked->mutex);
    folder.asked->is_wanted = false;
    if (folder.asked->lock) folder.lock.emplace(*std::move(folder.asked->lock));
  }
  if (folder.lock) remove(folder.path, *std::move(folder.lock));
}

void OutputFolders::remove(const fs::path& path, OutputLock lock) {
  const auto leaving = std::make_shared<LeavingLock>(std::move(lock));
  std::erase_if(leaving_, [](const auto& entry) { return entry.second.expired(); });
  leaving_.emplace_back(path, leaving);
  errands_.run_errand(path, [leaving] { leaving->remove(); });
}

std::vector<std::string> OutputFolders::jobs() const {
  std::vector<std::string> ids;
  for (const auto& [id, folder] : held_) {
    if (!folder.is_in_making) ids.push_back(id);
  }
  return ids;
}

}  // namespace equipoise::coordinator
