#include "client/reproduce/report_markup.h"

namespace equipoise::reproduce {

std::string element(const std::string& name, const std::string& inside, const std::string& css_class) {
  return "<" + name + (css_class.empty() ? "" : " class=\"" + css_class + "\"") + ">" + inside + "</" + name + ">\n";
}

std::string figure_row(std::span<const std::string> plots, const std::string& css_class) {
  std::string figures = "\n";
  for (const std::string& picture : plots) figures += element("figure", picture);
  return element("div", figures, css_class);
}

std::string wide_table(const std::string& head, const std::string& body) {
  return element("div", element("table", element("thead", element("tr", head)) + element("tbody", body)), "wide");
}

}  // namespace equipoise::reproduce
