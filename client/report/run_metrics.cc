#include "client/report/run_metrics.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "common/base/quoted_text.h"

namespace equipoise {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct Line {
  std::string file;
  std::size_t number;

  [[noreturn]] void refuse(const std::string& what) const {
    throw std::invalid_argument(file + ":" + std::to_string(number) + ": " + what);
  }
};

std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (!stream.is_open() || stream.bad()) throw std::invalid_argument(file.string() + ": cannot be read");
  return text;
}

// Null stands for a number that is not finite.
enum class Null { kLeftOut, kNaN };

std::map<std::string, double> numbers_by_group(const OrderedJson& record, const char* field, const Line& line,
                                               Null null = Null::kLeftOut) {
  std::map<std::string, double> numbers;
  const auto found = record.find(field);
  if (found == record.end()) return numbers;
  if (!found->is_object()) line.refuse("field \"" + std::string(field) + "\" is not an object of group names");
  for (const auto& [group, value] : found->items()) {
    if (value.is_null() && null == Null::kNaN) numbers[group] = std::numeric_limits<double>::quiet_NaN();
    if (value.is_null()) continue;
    if (!value.is_number()) {
      line.refuse("field \"" + std::string(field) + "\" holds no number for group " + quoted_text(group));
    }
    numbers[group] = value.get<double>();
  }
  return numbers;
}

std::optional<double> lookup(const std::map<std::string, double>& numbers, const std::string& group) {
  const auto found = numbers.find(group);
  return found == numbers.end() ? std::nullopt : std::optional(found->second);
}

Evaluation read_evaluation(const OrderedJson& record, const Line& line, std::vector<std::string>& group_names) {
  const auto step = record.find("step");
  if (step == record.end() || !step->is_number_integer()) line.refuse("field \"step\" is missing or not an integer");
  const auto loss = numbers_by_group(record, "group_loss", line, Null::kNaN);  // the worst off
  const auto accuracy = numbers_by_group(record, "group_accuracy", line);
  const auto weight = numbers_by_group(record, "group_weight", line);
  const auto loss_error = numbers_by_group(record, "group_loss_error", line);
  const auto accuracy_error = numbers_by_group(record, "group_accuracy_error", line);
  if (record.find("group_loss") == record.end()) line.refuse("field \"group_loss\" is missing");

  Evaluation evaluation{step->get<std::int64_t>(), {}};
  for (const auto& [group, value] : record["group_loss"].items()) {
    evaluation.groups[group] = {lookup(loss, group), lookup(accuracy, group), lookup(weight, group),
                                lookup(loss_error, group), lookup(accuracy_error, group)};
    if (std::find(group_names.begin(), group_names.end(), group) == group_names.end()) group_names.push_back(group);
  }
  return evaluation;
}

std::string run_name(const std::filesystem::path& file) {
  const std::filesystem::path folder = std::filesystem::absolute(file).lexically_normal().parent_path();
  return folder.filename().empty() ? folder.string() : folder.filename().string();
}

bool is_evaluation(const OrderedJson& record) {
  const auto split = record.find("split");
  return split != record.end() && split->is_string() && split->get_ref<const std::string&>() == "validation";
}

// The model of a run is not the run.
void check_is_no_part_of_a_run(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::filesystem::path whole = std::filesystem::absolute(folder).lexically_normal();
  if (whole.filename().empty()) whole = whole.parent_path();
  if (std::filesystem::exists(folder / "metrics.jsonl", ignored)) return;
  if (!std::filesystem::exists(whole.parent_path() / "metrics.jsonl", ignored)) return;
  throw std::invalid_argument(folder.string() +
                              ": is a folder of a run, which has the metrics: name the run's folder, " +
                              whole.parent_path().string());
}

}  // namespace

RunMetrics read_run_metrics(const std::filesystem::path& run) {
  std::error_code ignored;
  const bool is_folder = std::filesystem::is_directory(run, ignored);
  if (is_folder) check_is_no_part_of_a_run(run);
  const auto file = is_folder ? run / "metrics.jsonl" : run;
  const std::string text = read_text(file);
  RunMetrics metrics{run_name(file), {}, {}, {}};
  bool found = false;
  Line line{file.string(), 0};
  std::string_view rest = text;
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    ++line.number;
    const std::string_view one = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (one.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const OrderedJson record = OrderedJson::parse(one, nullptr, /*allow_exceptions=*/false);
    if (!record.is_object()) line.refuse("is not a JSON object");
    if (!is_evaluation(record)) continue;
    metrics.after = read_evaluation(record, line, metrics.group_names);
    if (!found) metrics.before = metrics.after;
    found = true;
  }
  if (!found) throw std::invalid_argument(file.string() + ": holds no line with \"split\": \"validation\"");
  return metrics;
}

}  // namespace equipoise
