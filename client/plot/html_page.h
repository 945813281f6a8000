// A report as one file: well-formed as XML and as HTML, with its style inside and nothing fetched from anywhere.
#pragma once

#include <string>
#include <string_view>

namespace equipoise::plot {

// `title` is text; `body` is markup whose elements are all closed, with the classes of this style sheet:
//   row   plots side by side, as many as fit        figure  a plot of a row
//   wide  a table that may scroll sideways          lede, note, good, bad, number  kinds of text
std::string html_page(std::string_view title, std::string_view body);

}  // namespace equipoise::plot
