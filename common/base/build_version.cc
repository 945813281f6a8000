#include "common/base/build_version.h"

namespace equipoise {

std::string build_version() { return std::string(EQUIPOISE_VERSION " (revision ") + revision() + ")"; }

}  // namespace equipoise
