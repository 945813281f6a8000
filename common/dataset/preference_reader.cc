#include "common/dataset/preference_reader.h"

#include <simdjson.h>

#include <array>
#include <optional>
#include <stdexcept>
#include <utility>

#include "common/dataset/answer_fields.h"
#include "common/dataset/data_rows.h"
#include "common/dataset/group_columns.h"
#include "common/dataset/json_fault.h"
#include "common/dataset/json_field.h"
#include "common/dataset/preference_pair.h"

namespace equipoise {
namespace {

namespace dom = simdjson::dom;

// Of those that a file may lack the rows say what is missing.
const std::vector<std::string> kOptionalColumns = {
    "prompt",           "rejected",           "group", "chosen_share",        "weight",
    "ref_chosen_logps", "ref_rejected_logps", "tools", "chat_template_kwargs"};

std::vector<std::string> required_columns(const GroupColumns& groups) {
  std::vector<std::string> columns = {"chosen"};
  if (!groups.may_lack()) columns.insert(columns.end(), groups.names().begin(), groups.names().end());
  return columns;
}

dom::object object_of(dom::parser& parser, std::string_view json) {
  dom::element document;
  const auto problem = parser.parse(json.data(), json.size(), false).get(document);
  if (problem != simdjson::SUCCESS) throw std::invalid_argument(json_fault(json, problem));
  dom::object object;
  if (document.get_object().get(object) != simdjson::SUCCESS) {
    throw std::invalid_argument("the line is " + found_text(document) + ", expected an object {\"prompt\": ...}" +
                                (document.is_array() ? " a line: jq -c '.[]' turns a list into lines" : ""));
  }
  return object;
}

}  // namespace

class PreferenceReader::Impl {
 public:
  Impl(const std::filesystem::path& path, const PreferenceReadSettings& settings)
      : path_(path),
        rejected_(settings.rejected),
        groups_(settings.known_groups),
        columns_(settings, groups_),
        required_(required_columns(columns_)),
        rows_(open_data_rows(path, {.required = required_, .optional = kOptionalColumns})),
        is_one_file_(std::filesystem::is_regular_file(path)) {}

  bool next(PreferencePair& pair) {
    if (!rows_->next()) {
      if (first_row_ == 0) throw std::invalid_argument(path_.string() + ": holds no pairs, expected one a line");
      return false;
    }
    try {
      read(object_of(parser_, rows_->json()), pair);
    } catch (const std::invalid_argument& problem) {
      // The parts below do not know where they are.
      throw std::invalid_argument(place(rows_->number()) + ": " + problem.what());
    }
    return true;
  }

  const std::vector<std::string>& group_names() const { return groups_.names(); }
  const DataFields& fields() const { return checks_.fields(); }
  std::int64_t bytes_read() const { return rows_->bytes_read(); }
  std::string place(std::int64_t line) const { return rows_->place(line); }

 private:
  void read(const dom::object& object, PreferencePair& pair) {
    PairNumbers numbers;
    const AnswerFields answers = find_fields(object, numbers);
    check_fields(answers, numbers);
    if (!answers.chosen) refuse_without("chosen", object);
    if (!answers.rejected && rejected_ == Rejected::kRequired) refuse_without("rejected", object);
    read_answers(answers, rejected_, pair);
    if (pair.form == AnswerForm::kText && (!answers.prompt || pair.prompt.empty())) checks_.count_empty_prompt();
    if (pair.form == AnswerForm::kMessages && has_answer_of_other_role(answers)) checks_.count_other_role();
    read_numbers(numbers, pair);
    pair.memberships = columns_.memberships();
    pair.line = rows_->number();
  }

  // What the row has instead may be the answer by another name.
  [[noreturn]] void refuse_without(std::string_view answer, const dom::object& object) const {
    throw std::invalid_argument("field \"" + std::string(answer) + "\" is missing, expected text or messages; the " +
                                std::string(rows_->word()) + " has " + keys_text(object));
  }

  // The known fields; each may be there once.
  AnswerFields find_fields(const dom::object& object, PairNumbers& numbers) {
    AnswerFields answers;
    columns_.clear();
    for (const auto& [key, value] : object) {
      std::optional<dom::element>* field = answers.find(key);
      if (field == nullptr) field = numbers.find(key);
      if (field == nullptr) field = columns_.find(key);
      if (field == nullptr) {
        if (!value.is_null()) checks_.note_unused(key);
        continue;
      }
      if (*field) throw std::invalid_argument("field \"" + std::string(key) + "\" is given twice");
      *field = value;
    }
    for (const std::string& column : rows_->take_unread_columns()) checks_.note_unused(column);
    return answers;
  }

  // A misspelt key or a gap is not to turn one pair's prompt into what its answers share, or its group into "all".
  void check_fields(const AnswerFields& answers, const PairNumbers& numbers) {
    if (first_row_ == 0) first_row_ = rows_->number();
    const auto given = [](const std::optional<dom::element>& field) { return field && !field->is_null(); };
    const bool messages = answers.chosen && answers.chosen->is_array();
    const std::optional<bool> group = columns_.has_usual();
    const std::array<FieldPresence, 10> row = {FieldPresence{"prompt", given(answers.prompt), true},
                                               {"chosen", given(answers.chosen)},
                                               {"rejected", given(answers.rejected)},
                                               {group ? "group" : "", group.value_or(false), group.has_value()},
                                               {"chosen_share", numbers.chosen_share.has_value(), true},
                                               {"weight", numbers.weight.has_value(), true},
                                               {"ref_chosen_logps", numbers.reference_chosen.has_value(), true},
                                               {"ref_rejected_logps", numbers.reference_rejected.has_value(), true},
                                               {"tools", messages && given(answers.tools)},
                                               {"chat_template_kwargs", messages && given(answers.template_variables)}};
    if (!messages && given(answers.tools)) checks_.note_unused("tools");
    if (!messages && given(answers.template_variables)) checks_.note_unused("chat_template_kwargs");
    checks_.check(row, {.word = rows_->word(), .place = [this] { return place_of_first_row(); }});
  }

  std::string place_of_first_row() const {
    return is_one_file_ ? std::string(rows_->word()) + " " + std::to_string(first_row_) : rows_->place(first_row_);
  }

  std::filesystem::path path_;
  Rejected rejected_;
  GroupTable groups_;
  GroupColumns columns_;               // looks at groups_
  std::vector<std::string> required_;  // rows_ looks at it
  std::unique_ptr<DataRows> rows_;
  dom::parser parser_;
  bool is_one_file_;
  FieldChecks checks_;
  std::int64_t first_row_ = 0;  // 0: none was read
};

PreferenceReader::PreferenceReader(const std::filesystem::path& path, PreferenceReadSettings settings)
    : impl_(std::make_unique<Impl>(path, settings)) {}
PreferenceReader::PreferenceReader(PreferenceReader&&) noexcept = default;
PreferenceReader& PreferenceReader::operator=(PreferenceReader&&) noexcept = default;
PreferenceReader::~PreferenceReader() = default;

bool PreferenceReader::next(PreferencePair& pair) { return impl_->next(pair); }

const std::vector<std::string>& PreferenceReader::group_names() const { return impl_->group_names(); }

const DataFields& PreferenceReader::fields() const { return impl_->fields(); }

std::int64_t PreferenceReader::bytes_read() const { return impl_->bytes_read(); }

std::string PreferenceReader::place(std::int64_t line) const { return impl_->place(line); }

PreferenceData read_preference_file(const std::filesystem::path& path, Rejected rejected,
                                    std::vector<std::string> known_groups, std::string_view group_separator) {
  PreferenceReader reader(
      path,
      {.rejected = rejected, .known_groups = std::move(known_groups), .group_separator = std::string(group_separator)});
  PreferenceData data;
  for (PreferencePair pair; reader.next(pair);) data.pairs.push_back(pair);
  data.group_names = reader.group_names();
  data.source = path.string();
  return data;
}

}  // namespace equipoise
