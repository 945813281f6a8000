// Which release this program is, and of which commit it was built.
#pragma once

#include <string>

namespace equipoise {

// "251de3643a1c"; "unknown" outside of a git checkout. Made by deploy/cmake/revision.cmake.
const char* revision();

// "0.1.0 (revision 251de3643a1c)": what --version of each program says behind its name.
std::string build_version();

}  // namespace equipoise
