#include "client/command_line/resume_point.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "common/base/path_check.h"
#include "common/checkpoint/checkpoint_folder.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr const char* kResumeField = "training.resume_from_checkpoint";

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c; });
  return text;
}

std::optional<std::int64_t> whole_number(const std::string& text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stopped == end && number >= 0 ? std::optional(number) : std::nullopt;
}

// Without "." and "..", and without a slash at the end.
fs::path plain_path(const fs::path& path) {
  const fs::path plain = fs::absolute(path).lexically_normal();
  return plain.has_filename() ? plain : plain.parent_path();
}

[[noreturn]] void refuse_checkpoint(const fs::path& folder, const std::string& what) {
  throw std::invalid_argument(std::string(kResumeField) + ": " + folder.string() + " " + what);
}

// "; there are steps 120, 60": of the run that the folder would be in.
std::string steps_beside(const fs::path& folder) {
  std::string steps;
  for (const CheckpointEntry& entry : list_checkpoints(folder.parent_path().parent_path())) {
    steps += (steps.empty() ? "" : ", ") + std::to_string(entry.step);
  }
  return steps.empty() ? "" : "; there are steps " + steps;
}

ResumePoint point_at(const fs::path& folder) {
  const CheckpointManifest manifest = read_manifest(folder);
  return {.folder = folder, .step = manifest.step, .identity = hex_text(manifest_digest(manifest))};
}

ResumePoint checkpoint_at(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored))
    refuse_checkpoint(folder, "does not exist, expected a checkpoint" + steps_beside(folder));
  if (!fs::is_directory(folder, ignored)) refuse_checkpoint(folder, "is not a folder, expected a checkpoint");
  if (!entry_exists(folder / kManifestName)) {
    if (const auto newest = newest_checkpoint(folder)) {
      refuse_checkpoint(folder,
                        "is a run's output: name one of its checkpoints, the newest is " + newest->folder.string());
    }
    if (entry_exists(folder / "trainer_state.json")) {
      refuse_checkpoint(
          folder,
          "is a checkpoint of another trainer (trainer_state.json): its model can be the start of a job, as "
          "model.path");
    }
  }
  try {
    return point_at(folder);
  } catch (const std::invalid_argument& fault) {
    throw std::invalid_argument(std::string(kResumeField) + ": " + fault.what());
  }
}

std::optional<ResumePoint> latest_of(const fs::path& output) {
  std::string first_fault;
  const std::vector<CheckpointEntry> entries = list_checkpoints(output);
  for (const CheckpointEntry& entry : entries) {
    try {
      return point_at(entry.folder);
    } catch (const std::invalid_argument& fault) {
      if (first_fault.empty()) first_fault = fault.what();
    }
  }
  if (entries.empty()) return std::nullopt;
  throw std::invalid_argument(std::string(kResumeField) + ": no checkpoint in " + checkpoints_folder(output).string() +
                              " is whole: " + first_fault +
                              "; --overwrite in place of --resume starts at the beginning");
}

}  // namespace

bool names_own_checkpoint(const std::string& value) {
  const std::string word = lower_case(value);
  return word == "true" || word == "false" || word == kLatestCheckpoint || whole_number(value);
}

std::string resume_setting(const std::string& value, const fs::path& output) {
  if (const auto step = whole_number(value)) return plain_path(checkpoint_folder(output, *step)).string();
  if (!names_own_checkpoint(value)) return plain_path(value).string();
  const std::string word = lower_case(value);
  return word == "true" ? kLatestCheckpoint : word;
}

bool goes_on_in_own_output(const JobConfig& job) {
  const auto& checkpoint = job.training.resume_from_checkpoint;
  if (!checkpoint) return false;
  return *checkpoint == kLatestCheckpoint ||
         is_within(resolved_path(*checkpoint), resolved_path(checkpoints_folder(job.output)));
}

std::optional<ResumePoint> newest_checkpoint(const fs::path& output) {
  try {
    return latest_of(output);
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
}

std::optional<ResumePoint> resume_point(const JobConfig& job) {
  const auto& checkpoint = job.training.resume_from_checkpoint;
  if (!checkpoint) return std::nullopt;
  return *checkpoint == kLatestCheckpoint ? latest_of(job.output) : checkpoint_at(plain_path(*checkpoint));
}

std::string resume_text(const JobConfig& job) {
  if (!job.training.resume_from_checkpoint) return "";
  const auto point = resume_point(job);
  if (!point) return "there is no checkpoint in " + job.output.string() + ": training starts at the beginning";
  return "goes on from step " + std::to_string(point->step) + " of " + point->folder.string();
}

}  // namespace equipoise
