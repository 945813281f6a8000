// EQUIPOISE_DEVICE: what the user says about the device that ranks compute on.
#pragma once

#include <string>

namespace equipoise {

// "cpu", "cuda", or empty where nothing is set. Throws std::invalid_argument naming any other value.
std::string device_setting();

}  // namespace equipoise
