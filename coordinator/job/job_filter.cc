#include "coordinator/job/job_filter.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "common/base/message_text.h"

namespace equipoise::coordinator {
namespace {

using google::protobuf::Timestamp;
using google::protobuf::util::TimeUtil;

constexpr std::size_t kLongestFilter = 1024, kMostComparisons = 32;

enum class FieldKind { kText, kState, kFailureKind, kNumber, kTime };

// What a job has; nullopt: it has none.
using FieldValue = std::optional<std::variant<std::string, std::int64_t>>;

FieldValue time_value(bool is_there, const Timestamp& time) {
  if (!is_there) return std::nullopt;
  return TimeUtil::TimestampToNanoseconds(time);
}

struct FilterField {
  std::string_view name;
  FieldKind kind;
  FieldValue (*of)(const v1::TrainingJob& job);
};

constexpr std::array<FilterField, 10> kFilterFields = {{
    {"id", FieldKind::kText, [](const v1::TrainingJob& job) -> FieldValue { return job.id(); }},
    {"name", FieldKind::kText, [](const v1::TrainingJob& job) -> FieldValue { return job.spec().name(); }},
    {"parent_id", FieldKind::kText, [](const v1::TrainingJob& job) -> FieldValue { return job.parent_id(); }},
    {"state", FieldKind::kState, [](const v1::TrainingJob& job) -> FieldValue { return std::int64_t{job.state()}; }},
    {"failure_kind", FieldKind::kFailureKind,
     [](const v1::TrainingJob& job) -> FieldValue { return std::int64_t{job.failure_kind()}; }},
    {"priority", FieldKind::kNumber,
     [](const v1::TrainingJob& job) -> FieldValue { return std::int64_t{job.priority()}; }},
    {"step", FieldKind::kNumber, [](const v1::TrainingJob& job) -> FieldValue { return job.step(); }},
    {"create_time", FieldKind::kTime,
     [](const v1::TrainingJob& job) { return time_value(job.has_create_time(), job.create_time()); }},
    {"start_time", FieldKind::kTime,
     [](const v1::TrainingJob& job) { return time_value(job.has_start_time(), job.start_time()); }},
    {"end_time", FieldKind::kTime,
     [](const v1::TrainingJob& job) { return time_value(job.has_end_time(), job.end_time()); }},
}};

std::string field_names() {
  std::string names;
  for (const FilterField& field : kFilterFields) names.append(names.empty() ? "" : ", ").append(field.name);
  return names;
}

std::string upper_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

bool is_filter_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_name_character(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

}  // namespace

// Each character is looked at once.
class JobFilter::Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}

  std::vector<Comparison> parse() {
    std::vector<Comparison> comparisons;
    skip_space();
    while (!at_end()) {
      if (comparisons.size() == kMostComparisons) {
        fail(at_, "another comparison", "at most " + std::to_string(kMostComparisons));
      }
      comparisons.push_back(comparison());
      skip_space();
      if (at_end()) break;
      const std::size_t begin = at_;
      const std::string word = bare_word();
      if (word != "AND") fail(begin, word, "AND or the end");
      skip_space();
      if (at_end()) fail(at_, "", "a comparison after AND");
    }
    return comparisons;
  }

 private:
  bool at_end() const { return at_ == text_.size(); }
  void skip_space() {
    while (!at_end() && is_filter_space(text_[at_])) ++at_;
  }
  [[noreturn]] void fail(std::size_t position, const std::string& found, const std::string& expected) const {
    throw std::invalid_argument("filter, column " + std::to_string(position + 1) + ": " +
                                (found.empty() ? "it ends" : quoted_text(found)) + ", expected " + expected);
  }

  Comparison comparison() {
    const int field = this->field();
    const FieldKind kind = kFilterFields[static_cast<std::size_t>(field)].kind;
    skip_space();
    const Operator op = this->op(kind);
    skip_space();
    const std::size_t begin = at_;
    const std::string text = value();
    return {.field = field, .op = op, .value = typed(kind, text, begin)};
  }

  int field() {
    const std::size_t begin = at_;
    while (!at_end() && is_name_character(text_[at_])) ++at_;
    const std::string name = text_.substr(begin, at_ - begin);
    const auto* const known = std::ranges::find(kFilterFields, name, &FilterField::name);
    if (known == kFilterFields.end()) fail(begin, name.empty() ? rest(begin) : name, "one of: " + field_names());
    return static_cast<int>(known - kFilterFields.begin());
  }

  Operator op(FieldKind kind) {
    constexpr std::array<std::pair<std::string_view, Operator>, 7> kOperators = {{{"!=", Operator::kNotEqual},
                                                                                  {"<=", Operator::kLessOrEqual},
                                                                                  {">=", Operator::kGreaterOrEqual},
                                                                                  {"=", Operator::kEqual},
                                                                                  {"<", Operator::kLess},
                                                                                  {">", Operator::kGreater},
                                                                                  {":", Operator::kContains}}};
    const bool is_ordered = kind == FieldKind::kNumber || kind == FieldKind::kTime;
    for (const auto& [sign, op] : kOperators) {
      if (std::string_view(text_).substr(at_, sign.size()) != sign) continue;
      const bool is_equality = op == Operator::kEqual || op == Operator::kNotEqual;
      const bool fits = is_equality || (op == Operator::kContains ? kind == FieldKind::kText : is_ordered);
      if (!fits) break;
      at_ += sign.size();
      return op;
    }
    fail(at_, rest(at_), kind == FieldKind::kText ? "=, != or :" : is_ordered ? "=, !=, <, <=, > or >=" : "= or !=");
  }

  std::string value() {
    if (at_end()) fail(at_, "", "a value");
    if (text_[at_] != '"') return bare_word();
    const std::size_t begin = at_++;
    std::string value;
    for (; !at_end(); ++at_) {
      if (text_[at_] == '"') {
        ++at_;
        return value;
      }
      const bool is_escaped = text_[at_] == '\\' && at_ + 1 < text_.size();
      if (is_escaped && (text_[at_ + 1] == '"' || text_[at_ + 1] == '\\')) ++at_;
      value += text_[at_];
    }
    fail(begin, "", "a \" at the end of the text that begins here");
  }

  std::string bare_word() {
    const std::size_t begin = at_;
    while (!at_end() && !is_filter_space(text_[at_]) && text_[at_] != '"') ++at_;
    if (begin == at_) fail(begin, rest(begin), "a word");
    return text_.substr(begin, at_ - begin);
  }
  std::string rest(std::size_t begin) const { return text_.substr(begin, 20); }

  Value typed(FieldKind kind, const std::string& text, std::size_t begin) const {
    switch (kind) {
      case FieldKind::kText:
        return text;
      case FieldKind::kState: {
        v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
        const bool is_known =
            v1::JobState_Parse(upper_case(text), &state) || v1::JobState_Parse("JOB_STATE_" + upper_case(text), &state);
        if (!is_known) fail(begin, text, "a state such as QUEUED or RUNNING");
        return std::int64_t{state};
      }
      case FieldKind::kFailureKind: {
        v1::FailureKind failure = v1::FAILURE_KIND_UNSPECIFIED;
        const bool is_known = v1::FailureKind_Parse(upper_case(text), &failure) ||
                              v1::FailureKind_Parse("FAILURE_KIND_" + upper_case(text), &failure);
        if (!is_known) fail(begin, text, "INVALID_INPUT, INFRASTRUCTURE, PROGRAM or UNSPECIFIED");
        return std::int64_t{failure};
      }
      case FieldKind::kNumber: {
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc() || end != text.data() + text.size()) fail(begin, text, "an integer");
        return number;
      }
      case FieldKind::kTime: {
        Timestamp time;
        if (!TimeUtil::FromString(text, &time)) fail(begin, text, "a time such as 2026-11-30T12:00:00Z");
        // What a number of nanoseconds can hold.
        if (time.seconds() < 0 || time.seconds() > 9'000'000'000) fail(begin, text, "a time from 1970 to 2255");
        return TimeUtil::TimestampToNanoseconds(time);
      }
    }
    fail(begin, text, "a value");
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

JobFilter::JobFilter(const std::string& text) {
  if (text.size() > kLongestFilter) {
    throw std::invalid_argument("filter has " + std::to_string(text.size()) + " bytes, expected at most " +
                                std::to_string(kLongestFilter));
  }
  comparisons_ = Parser(text).parse();
}

bool JobFilter::is_true(const Comparison& comparison, const v1::TrainingJob& job) {
  const FieldValue value = kFilterFields[static_cast<std::size_t>(comparison.field)].of(job);
  if (!value) return comparison.op == Operator::kNotEqual;
  switch (comparison.op) {
    case Operator::kEqual:
      return *value == comparison.value;
    case Operator::kNotEqual:
      return *value != comparison.value;
    case Operator::kLess:
      return *value < comparison.value;
    case Operator::kLessOrEqual:
      return *value <= comparison.value;
    case Operator::kGreater:
      return *value > comparison.value;
    case Operator::kGreaterOrEqual:
      return *value >= comparison.value;
    case Operator::kContains:
      return std::get<std::string>(*value).find(std::get<std::string>(comparison.value)) != std::string::npos;
  }
  return false;
}

bool JobFilter::holds(const v1::TrainingJob& job) const {
  return std::ranges::all_of(comparisons_, [&](const Comparison& comparison) { return is_true(comparison, job); });
}

}  // namespace equipoise::coordinator
