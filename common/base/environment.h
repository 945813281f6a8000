// What the variables EQUIPOISE_... of this process say. EQUIPOISE_CACHE is read in cache_folder.h; EQUIPOISE_COORDINATOR
// stands for --coordinator; the coordinator hands EQUIPOISE_ATTEMPT_TOKEN to ranks.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace equipoise {

// EQUIPOISE_DEVICE, the device that ranks compute on: "cpu", "cuda", or empty where nothing is set. Throws
// std::invalid_argument naming any other value.
std::string device_setting();

// A sentence for each of `environment` ("NAME=value") whose name begins with EQUIPOISE_ and is read by no program, with
// the nearest known name, ascending by name. For a warning: another version may know the variable.
std::vector<std::string> unknown_variables(std::span<const std::string> environment);
// Of this process.
std::vector<std::string> unknown_variables();

}  // namespace equipoise
