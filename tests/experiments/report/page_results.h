// The results that stand in a report's page.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace equipoise::reproduce {

inline nlohmann::json page_results(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"results\">";
  const std::size_t begin = page.find(open) + open.size();
  return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

}  // namespace equipoise::reproduce
