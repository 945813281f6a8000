// What this machine has and allows, as `equipoise doctor` looks at it.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "client/doctor/finding.h"

namespace equipoise {

// Nothing of it throws: what cannot be found out is a finding.

// Bytes that are free where `folder` is, or will be, and whether files can be made there.
DoctorFinding disk_finding(const std::string& check, const std::filesystem::path& folder);

// Why there is no cache; `home` is HOME, empty where it is not set.
DoctorFinding no_cache_finding(const std::string& home);

// Shared memory, through which ranks of one host pass tensors.
DoctorFinding shared_memory_finding();

// Open files, file size.
DoctorFindings limit_findings();

// EQUIPOISE_DEVICE and OMP_NUM_THREADS, and variables that nobody reads.
DoctorFindings environment_findings();

// The processor, or the GPU's driver.
DoctorFinding device_finding(const std::filesystem::path& gpu_library);

// `now` against when this program was built, and `newest` of what the coordinator has written; the epoch: unknown.
DoctorFinding clock_finding(std::chrono::system_clock::time_point now, std::chrono::system_clock::time_point built,
                            std::chrono::system_clock::time_point newest);

}  // namespace equipoise
