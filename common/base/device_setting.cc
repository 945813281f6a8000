#include "common/base/device_setting.h"

#include <cstdlib>
#include <stdexcept>

#include "common/base/quoted_text.h"

namespace equipoise {

std::string device_setting() {
  const char* const set = std::getenv("EQUIPOISE_DEVICE");
  std::string device = set == nullptr ? "" : set;
  if (device.empty() || device == "cpu" || device == "cuda") return device;
  throw std::invalid_argument("EQUIPOISE_DEVICE is " + quoted_text(device) + ", expected cpu or cuda");
}

}  // namespace equipoise
