// What the build makes of report.html, report.ts and report.css (CMakeLists.txt) and puts into the program.
#pragma once

#include <string_view>

namespace equipoise {

// "report.html", "report.js", "report.css".
std::string_view summary_file(std::string_view name);

}  // namespace equipoise
