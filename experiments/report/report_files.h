// The files that the build puts into the program: the reports' pages, style and script, and the charting library.
#pragma once

#include <string_view>

namespace equipoise::reproduce {

// `name`: one of those in CMakeLists.txt, without its folder; any other is our bug.
std::string_view report_file(std::string_view name);

}  // namespace equipoise::reproduce
