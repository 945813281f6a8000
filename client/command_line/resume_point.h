// Where a job goes on: what --resume says, and which checkpoint that is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "common/config/job_config.h"

namespace equipoise {

// A checkpoint whose manifest can be read; its other files are read by the ranks.
struct ResumePoint {
  std::filesystem::path folder;
  std::int64_t step = 0;
  std::string identity;  // SHA-256 of its manifest
};

// training.resume_from_checkpoint by the value of --resume: "latest", "true" or "True", and "false" as they are
// written; a whole number is that step of `output`; anything else a folder, relative to the current one.
std::string resume_setting(const std::string& value, const std::filesystem::path& output);

// Whether that is a word or a number, not a folder.
bool names_own_checkpoint(const std::string& value);

// Whether the job goes on in the folder that its checkpoint is from.
bool goes_on_in_own_output(const JobConfig& job);

// The newest checkpoint of a run's folder whose manifest can be read.
std::optional<ResumePoint> newest_checkpoint(const std::filesystem::path& output);

// Where the job goes on; nothing for one that starts at the beginning. Throws std::invalid_argument where the
// checkpoint is not there, is none, or its manifest cannot be read; of `latest` where that is so of all that are there.
std::optional<ResumePoint> resume_point(const JobConfig& job);

// "goes on from step 120 of FOLDER", or that there is no checkpoint; empty for a job that is not to go on. Throws as
// resume_point().
std::string resume_text(const JobConfig& job);

}  // namespace equipoise
