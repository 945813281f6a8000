// The page: files that the build makes of coordinator/page and puts into the program.
#pragma once

#include <string_view>

namespace equipoise::coordinator {

// page.html, page.js, page.css or favicon.svg.
std::string_view page_file(std::string_view name);

}  // namespace equipoise::coordinator
