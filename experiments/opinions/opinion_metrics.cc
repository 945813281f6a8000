// read_opinion_run of opinion_results.h.
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/base/quoted_text.h"
#include "experiments/opinions/opinion_results.h"

namespace equipoise::reproduce {
namespace {

using Json = nlohmann::json;

class MetricsLine {
 public:
  MetricsLine(std::string where, const std::string& text) : where_(std::move(where)) {
    record_ = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!record_.is_object()) refuse("is not a JSON object");
  }

  [[noreturn]] void refuse(const std::string& what) const { throw std::invalid_argument(where_ + ": " + what); }

  bool is_evaluation() const { return record_.contains("split"); }
  bool has(const char* field) const { return record_.contains(field); }

  std::int64_t step() const {
    const auto found = record_.find("step");
    if (found == record_.end() || !found->is_number_integer()) refuse("field \"step\" is missing or not an integer");
    return found->get<std::int64_t>();
  }

  // Null stands for a number that is not finite.
  double number(const char* field, const std::string& group) const {
    const auto object = record_.find(field);
    if (object == record_.end() || !object->is_object()) {
      refuse("field \"" + std::string(field) + "\" is missing or not an object of group names");
    }
    const auto value = object->find(group);
    if (value == object->end() || !(value->is_number() || value->is_null())) {
      refuse("field \"" + std::string(field) + "\" has no number for group " + quoted_text(group));
    }
    if (value->is_null() || !std::isfinite(value->get<double>())) {
      throw std::runtime_error(where_ + ": after step " + std::to_string(step()) + " \"" + field + "\" of group " +
                               quoted_text(group) + " is not finite; a smaller learning rate may help");
    }
    return value->get<double>();
  }

 private:
  std::string where_;
  Json record_;
};

OpinionEvaluation evaluation_of(const MetricsLine& line, const std::vector<std::string>& groups) {
  OpinionEvaluation evaluation{line.step(), {}};
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const bool compares = line.has("group_accuracy");
  for (const std::string& group : groups) {
    evaluation.groups_K.push_back({line.number("group_loss", group),
                                   compares ? line.number("group_accuracy", group) : kNone,
                                   compares ? line.number("group_logp_accuracy", group) : kNone});
  }
  return evaluation;
}

void add_weights(const MetricsLine& line, const std::vector<std::string>& groups, OpinionRun& run) {
  WeightPoint point{line.step(), {}};
  // Between two steps there are an evaluation and a training line, with the same weights.
  if (!run.weights.empty() && run.weights.back().step == point.step) return;
  for (const std::string& group : groups) point.alpha_K.push_back(line.number("group_weight", group));
  run.weights.push_back(std::move(point));
}

}  // namespace

OpinionRun read_opinion_run(const std::filesystem::path& metrics, const std::vector<std::string>& groups,
                            std::uint64_t seed) {
  std::ifstream file(metrics);
  if (!file) throw std::invalid_argument(metrics.string() + ": cannot be read");
  OpinionRun run{seed, {}, {}};
  std::string text;
  for (int number = 1; std::getline(file, text); ++number) {
    const MetricsLine line(metrics.string() + ":" + std::to_string(number), text);
    if (line.is_evaluation()) run.evaluations.push_back(evaluation_of(line, groups));
    add_weights(line, groups, run);
  }
  if (run.evaluations.size() < 2) {
    throw std::invalid_argument(metrics.string() + ": holds fewer than two lines with \"split\": \"validation\"");
  }
  return run;
}

}  // namespace equipoise::reproduce
