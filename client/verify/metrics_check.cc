#include "client/verify/metrics_check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "common/base/message_text.h"
#include "common/metrics/metrics_schema.h"

namespace equipoise {
namespace {

namespace schema = metrics_schema;
using Json = nlohmann::ordered_json;

constexpr std::size_t kLongestLine = std::size_t{64} << 20;
constexpr int kDeepestLine = 16;

// Up to a newline, which is taken. False at the end of the file or of what a line may have.
bool take_line(std::ifstream& file, std::string& text) {
  text.clear();
  for (int next = file.get(); next != std::ifstream::traits_type::eof(); next = file.get()) {
    if (next == '\n') return true;
    if (text.size() == kLongestLine) return false;
    text += static_cast<char>(next);
  }
  return false;
}

bool is_same(double one, double other) {
  return std::bit_cast<std::uint64_t>(one) == std::bit_cast<std::uint64_t>(other);
}

}  // namespace

MetricsCheck::MetricsCheck(const std::filesystem::path& file, std::vector<std::string> group_names,
                           std::int64_t first_step, std::function<void(std::int64_t)> on_bytes)
    : group_names_(std::move(group_names)), on_bytes_(std::move(on_bytes)) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(file, ignored)) file_.open(file, std::ios::binary);
  if (file_.is_open()) read_line();
  while (line_ && (step_ < first_step || (first_step > 0 && step_ == first_step))) read_line();
}

void MetricsCheck::refuse(const std::string& what) {
  if (fault_.empty()) fault_ = std::string(schema::kFileName) + ":" + std::to_string(number_) + ": " + what;
}

// One that is still being written is none.
void MetricsCheck::read_line() {
  line_.reset();
  std::string text;
  if (!take_line(file_, text)) return;
  ++number_;
  if (on_bytes_) on_bytes_(std::ssize(text) + 1);
  bool is_deep = false;
  const auto keep = [&is_deep](int depth, Json::parse_event_t /*event*/, Json& /*value*/) {
    is_deep = is_deep || depth > kDeepestLine;
    return !is_deep;
  };
  Json line = Json::parse(text, keep, false);
  if (is_deep || !line.is_object()) return refuse("is not a JSON object");
  const auto step = line.find(schema::kStep.name);
  if (step == line.end() || !step->is_number_integer()) return refuse("has no step");
  step_ = step->get<std::int64_t>();
  line_ = std::move(line);
}

void MetricsCheck::check(const ExpectedNumbers& expected) {
  while (fault_.empty() && line_ && step_ <= expected.steps_done) {
    if (step_ < expected.steps_done) {
      refuse("is of step " + std::to_string(step_) + ", expected one of step " + std::to_string(expected.steps_done) +
             " or a later one");
      return;
    }
    check_line(expected);
    if (!fault_.empty()) return;
    ++lines_;
    read_line();
  }
}

void MetricsCheck::pass(UnknownSteps steps) {
  std::int64_t newest = steps.after + 1;
  while (fault_.empty() && line_ && step_ < steps.before) {
    if (step_ < newest) {
      return refuse("is of step " + std::to_string(step_) + ", expected one of step " + std::to_string(newest) +
                    " or a later one");
    }
    newest = step_;
    ++lines_passed_;
    read_line();
  }
}

void MetricsCheck::finish(bool has_ended) {
  while (fault_.empty() && line_) {
    if (has_ended) return refuse("is of step " + std::to_string(step_) + ", which the ledger does not have");
    ++lines_beyond_;
    read_line();
  }
}

void MetricsCheck::check_line(const ExpectedNumbers& expected) {
  const bool is_step = !line_->contains(schema::kSplit.name);
  check_groups(schema::kGroupWeight.name.data(), std::string(schema::kFlatWeight.name), expected.alpha_K, true);
  if (!is_step || expected.mean_loss_K.empty()) return;
  check_groups(schema::kGroupLoss.name.data(), std::string(schema::kFlatLoss.name), expected.mean_loss_K, false);
}

//   is_whole  where the field is there, every group is in it
void MetricsCheck::check_groups(const char* field, const std::string& flat, std::span<const double> expected_K,
                                bool is_whole) {
  const auto found = line_->find(field);
  if (found != line_->end() && !found->is_object()) return refuse(std::string(field) + " is not an object");
  for (std::size_t g = 0; g < group_names_.size(); ++g) {
    if (std::isnan(expected_K[g])) continue;
    const std::string& name = group_names_[g];
    if (found != line_->end()) {
      const auto value = found->find(name);
      if (value != found->end()) {
        check_number(std::string(field) + " of " + quoted_text(name), *value, expected_K[g]);
      } else if (is_whole) {
        refuse(std::string(field) + " lacks " + quoted_text(name));
      } else {
        refuse(std::string(field) + " lacks " + quoted_text(name) + ", which is in the step");
      }
    }
    const std::string flat_name = schema::flat_name(name, flat);
    const auto value = line_->find(flat_name);
    if (value != line_->end()) check_number(quoted_text(flat_name), *value, expected_K[g]);
    if (!fault_.empty()) return;
  }
}

void MetricsCheck::check_number(const std::string& field, const Json& value, double expected) {
  if (value.is_number() && is_same(value.get<double>(), expected)) return;
  refuse(field + " is " + (value.is_number() ? number_text(value.get<double>()) : quoted_text(value.dump())) +
         ", the ledger gives " + number_text(expected));
}

}  // namespace equipoise
