#include "client/report/weight_history.h"

#include <vector>

#include "client/table/csv_text.h"
#include "common/base/number_text.h"

namespace equipoise {

std::string weight_history_csv(const v1::ListGroupWeightsResponse& history) {
  std::vector<std::string> titles = {"step", "generation"};
  titles.insert(titles.end(), history.group_names().begin(), history.group_names().end());
  std::string csv;
  add_csv_row(csv, titles);
  for (const v1::GroupWeightRecord& record : history.records()) {
    std::vector<std::string> cells = {std::to_string(record.step()), std::to_string(record.generation())};
    for (const double alpha : record.alpha()) cells.push_back(number_text(alpha));
    add_csv_row(csv, cells);
  }
  return csv;
}

}  // namespace equipoise
