#include "client/report/weight_history.h"

#include "common/base/number_text.h"

namespace equipoise {
namespace {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string weight_history_csv(const v1::ListGroupWeightsResponse& history) {
  std::string csv = "step,generation";
  for (const std::string& group : history.group_names()) csv.append(",").append(csv_field(group));
  csv += "\n";
  for (const v1::GroupWeightRecord& record : history.records()) {
    csv.append(std::to_string(record.step())).append(",").append(std::to_string(record.generation()));
    for (const double alpha : record.alpha()) csv.append(",").append(number_text(alpha));
    csv += "\n";
  }
  return csv;
}

}  // namespace equipoise
