#include "client/report/run_metrics.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "client/report/metrics_reader.h"

namespace equipoise {
namespace {

namespace schema = metrics_schema;

using GroupNumbers = std::vector<std::pair<std::string, double>>;

// Sets a result of each group that has a number; one that is not finite only where it says something.
enum class NotFinite { kLeftOut, kTaken };

void take(const GroupNumbers& numbers, std::optional<double> GroupResult::*number, NotFinite not_finite,
          std::map<std::string, GroupResult>& groups) {
  for (const auto& [group, value] : numbers) {
    const auto found = groups.find(group);
    if (found == groups.end() || (std::isnan(value) && not_finite == NotFinite::kLeftOut)) continue;
    found->second.*number = value;
  }
}

Evaluation read_evaluation(const MetricsRecord& record, std::vector<std::string>& group_names) {
  Evaluation evaluation{record.integer(schema::kStep), {}};
  if (!record.has(schema::kGroupLoss)) record.refuse("field \"group_loss\" is missing");
  const GroupNumbers losses = record.by_group(schema::kGroupLoss);
  for (const auto& [group, loss] : losses) {
    evaluation.groups[group] = {};
    if (std::ranges::find(group_names, group) == group_names.end()) group_names.push_back(group);
  }
  take(losses, &GroupResult::loss, NotFinite::kTaken, evaluation.groups);  // the worst off
  take(record.by_group(schema::kGroupAccuracy), &GroupResult::accuracy, NotFinite::kLeftOut, evaluation.groups);
  take(record.by_group(schema::kGroupWeight), &GroupResult::weight, NotFinite::kLeftOut, evaluation.groups);
  take(record.errors_by_group(schema::kGroupLoss), &GroupResult::loss_error, NotFinite::kLeftOut, evaluation.groups);
  take(record.errors_by_group(schema::kGroupAccuracy), &GroupResult::accuracy_error, NotFinite::kLeftOut,
       evaluation.groups);
  return evaluation;
}

std::string run_name(const std::filesystem::path& file) {
  const std::filesystem::path folder = std::filesystem::absolute(file).lexically_normal().parent_path();
  return folder.filename().empty() ? folder.string() : folder.filename().string();
}

// The model of a run is not the run.
void check_is_no_part_of_a_run(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::filesystem::path whole = std::filesystem::absolute(folder).lexically_normal();
  if (whole.filename().empty()) whole = whole.parent_path();
  if (std::filesystem::exists(folder / schema::kFileName, ignored)) return;
  if (!std::filesystem::exists(whole.parent_path() / schema::kFileName, ignored)) return;
  throw std::invalid_argument(folder.string() +
                              ": is a folder of a run, which has the metrics: name the run's folder, " +
                              whole.parent_path().string());
}

}  // namespace

RunMetrics read_run_metrics(const std::filesystem::path& run) {
  std::error_code ignored;
  const bool is_folder = std::filesystem::is_directory(run, ignored);
  if (is_folder) check_is_no_part_of_a_run(run);
  const auto file = is_folder ? run / schema::kFileName : run;
  RunMetrics metrics{run_name(file), {}, {}, {}};
  bool found = false;
  read_metrics(file, [&](const MetricsRecord& record) {
    if (!record.is_evaluation()) return;
    metrics.after = read_evaluation(record, metrics.group_names);
    if (!found) metrics.before = metrics.after;
    found = true;
  });
  if (!found) throw std::invalid_argument(file.string() + ": holds no line with \"split\": \"validation\"");
  return metrics;
}

}  // namespace equipoise
