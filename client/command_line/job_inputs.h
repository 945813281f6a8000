// Whether what a job is to read is there, and its output free: asked before any process is started.
#pragma once

#include <filesystem>
#include <string>

#include "common/config/job_config.h"

namespace equipoise {

// A path that does not exist but may be the name of something on the Hugging Face Hub, from where nothing is loaded.
enum class HubKind { kModel, kDataset };

// "; if Qwen/Qwen2.5-0.5B is a model of the Hub, download it first: hf download Qwen/Qwen2.5-0.5B --local-dir PATH",
// after which `path` is right as it is. `path` is absolute and does not exist: what of it does not exist, or follows an
// address of the Hub, is the name. Empty where that cannot be one.
std::string hub_advice(const std::filesystem::path& path, HubKind kind);

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
