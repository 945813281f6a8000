// Pieces of a report's body; classes are those of plot::html_page().
#pragma once

#include <span>
#include <string>

namespace equipoise::reproduce {

// <name class="css_class">inside</name>; `inside` is markup.
std::string element(const std::string& name, const std::string& inside, const std::string& css_class = "");

// Plots side by side: css_class "row" (four) or "row three".
std::string figure_row(std::span<const std::string> plots, const std::string& css_class);

// `head`: <th> elements; `body`: <tr> elements.
std::string wide_table(const std::string& head, const std::string& body);

}  // namespace equipoise::reproduce
