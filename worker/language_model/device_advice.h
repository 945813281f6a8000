// What a job's settings mean for the device that a rank has: sentences for the log and for a refusal.
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>

#include "common/config/job_config.h"
#include "worker/language_model/memory_estimate.h"

namespace equipoise {

// A warning if the estimate is more than nine tenths of `free_bytes`, with its numbers and the settings that take less;
// else empty, and also where free_bytes is 0 (not known). `device` is "cuda:0" or "cpu".
std::string memory_warning(const MemoryEstimate& estimate, std::size_t free_bytes, const std::string& device,
                           const JobConfig& config);

// A warning if float32 or float64 is slow on `device`; else empty.
std::string dtype_warning(DType dtype, const std::string& device);

// A refusal that names what was asked for, and the settings of the job that decide on it, if `failure` says that a
// device or this machine has no memory left. Else nothing.
std::optional<std::invalid_argument> out_of_memory(const std::exception& failure, const JobConfig& config);

// The same of an evaluation, by the names of its flags.
std::optional<std::invalid_argument> out_of_memory_of_evaluation(const std::exception& failure);

}  // namespace equipoise
