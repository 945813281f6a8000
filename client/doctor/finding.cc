#include "client/doctor/finding.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "client/table/display_width.h"
#include "client/table/json_document.h"

namespace equipoise {
namespace {

constexpr std::array kHealthNames = {"ok", "warn", "fail"};
constexpr std::array kHealthWords = {"OK  ", "WARN", "FAIL"};
constexpr std::array kHealthColors = {TextColor::kGreen, TextColor::kYellow, TextColor::kRed};
constexpr std::size_t kCheckColumns = 23;  // "equipoise-coordinator" and two spaces

const char* name_of_health(Health health) { return kHealthNames[static_cast<std::size_t>(health)]; }

std::string health_word(Health health, Colors colors) {
  const auto index = static_cast<std::size_t>(health);
  return colored(kHealthWords[index], kHealthColors[index], colors);
}

}  // namespace

std::string findings_text(const DoctorFindings& findings, Colors colors) {
  std::string text;
  for (const DoctorFinding& finding : findings) {
    const std::string check = printable(finding.check);
    text += health_word(finding.health, colors) + "  " + check;
    text.append(kCheckColumns - std::min(kCheckColumns - 1, display_width(check)), ' ');
    text += printable(finding.found) + "\n";
    if (!finding.advice.empty()) text += std::string(6 + kCheckColumns, ' ') + "-> " + printable(finding.advice) + "\n";
  }
  return text;
}

std::string findings_json(const DoctorFindings& findings) {
  nlohmann::ordered_json checks = nlohmann::ordered_json::array();
  for (const DoctorFinding& finding : findings) {
    checks.push_back({{"check", finding.check},
                      {"health", name_of_health(finding.health)},
                      {"found", finding.found},
                      {"advice", finding.advice}});
  }
  const nlohmann::ordered_json report = {{"checks", std::move(checks)},
                                         {"worst", name_of_health(worst_health(findings))}};
  return json_document(report);
}

Health worst_health(const DoctorFindings& findings) {
  Health worst = Health::kOk;
  for (const DoctorFinding& finding : findings) worst = std::max(worst, finding.health);
  return worst;
}

std::string without_home(std::string text, const std::string& home) {
  if (home.size() < 2) return text;
  for (std::size_t at = 0; (at = text.find(home, at)) != std::string::npos; ++at) {
    const std::size_t end = at + home.size();
    if (end == text.size() || text[end] == '/') text.replace(at, home.size(), "~");
  }
  return text;
}

}  // namespace equipoise
