// What the environment variables of this process say that users set for ranks. EQUIPOISE_CACHE is read in
// cache_folder.h, EQUIPOISE_COORDINATOR by the command lines, those of TLS and tokens in service_access.h; the
// coordinator hands EQUIPOISE_ATTEMPT_TOKEN and EQUIPOISE_ROOTS to ranks.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace equipoise {

// EQUIPOISE_DEVICE, the device that ranks compute on: "cpu", "cuda", or empty where nothing is set. Throws
// std::invalid_argument naming any other value.
std::string device_setting();

// OMP_NUM_THREADS, the threads that a rank computes with: a whole number from 1 on, as OpenMP takes it also the first
// of a list by commas; none where nothing is set. Throws std::invalid_argument naming any other value, which OpenMP
// would pass over in silence.
std::optional<int> thread_setting();

// A sentence for each of `environment` ("NAME=value") whose name begins with EQUIPOISE_ and is read by no program, with
// the nearest known name, ascending by name. For a warning: another version may know the variable.
std::vector<std::string> unknown_variables(std::span<const std::string> environment);
// Of this process.
std::vector<std::string> unknown_variables();

}  // namespace equipoise
