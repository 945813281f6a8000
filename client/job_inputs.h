// Whether what a job is to read is there, and its output free: asked before any process is started.
#pragma once

#include <filesystem>

#include "common/config/job_config.h"

namespace equipoise {

// Throws std::invalid_argument naming the field, the path and what is missing.
void check_job_inputs(const JobConfig& job);

// Throws std::invalid_argument for an EQUIPOISE_CACHE, EQUIPOISE_DEVICE or OMP_NUM_THREADS that the ranks on this
// machine would refuse.
void check_rank_environment();

// The same for one model folder or file, which `field` names: "model.path", "--model".
void check_model_folder(const char* field, const std::filesystem::path& folder);
void check_adapter_folder(const char* field, const std::filesystem::path& folder);  // of an adapter in PEFT's format
void check_readable_file(const char* field, const std::filesystem::path& path);
void check_readable_data(const char* field, const std::filesystem::path& path);  // preference pairs: a file or a folder

}  // namespace equipoise
