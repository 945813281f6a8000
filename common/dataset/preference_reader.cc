#include "common/dataset/preference_reader.h"

#include <simdjson.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include "common/base/number_text.h"
#include "common/base/quoted_text.h"
#include "common/dataset/answer_fields.h"
#include "common/dataset/data_rows.h"
#include "common/dataset/group_columns.h"
#include "common/dataset/group_table.h"
#include "common/dataset/json_field.h"

namespace equipoise {
namespace {

namespace dom = simdjson::dom;

// Of those that a file may lack the rows say what is missing.
const std::vector<std::string> kOptionalColumns = {"prompt",       "rejected", "group",
                                                   "chosen_share", "tools",    "chat_template_kwargs"};

std::vector<std::string> required_columns(const GroupColumns& groups) {
  std::vector<std::string> columns = {"chosen"};
  if (!groups.may_lack()) columns.insert(columns.end(), groups.names().begin(), groups.names().end());
  return columns;
}

double chosen_share(const std::optional<dom::element>& value) {
  if (!value) return 1;
  double share = 0;
  const bool number = value->get_double().get(share) == simdjson::SUCCESS;
  if (number && share > 0 && share <= 1) return share;
  refuse_value("chosen_share", number ? number_text(share) : found_text(*value), "a number in (0, 1]");
}

dom::object object_of(dom::parser& parser, std::string_view json) {
  dom::element document;
  const auto problem = parser.parse(json.data(), json.size(), false).get(document);
  if (problem == simdjson::UTF8_ERROR) throw std::invalid_argument("the line is not UTF-8");
  if (problem != simdjson::SUCCESS) {
    throw std::invalid_argument(std::string("the line is not JSON: ") + simdjson::error_message(problem));
  }
  dom::object object;
  if (document.get_object().get(object) != simdjson::SUCCESS) {
    throw std::invalid_argument("the line is " + found_text(document) + ", expected an object {\"prompt\": ...}");
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
        rows_(open_data_rows(path, {.required = required_, .optional = kOptionalColumns})) {}

  bool next(PreferencePair& pair) {
    if (!rows_->next()) {
      if (first_line_ == 0) throw std::invalid_argument(path_.string() + ": holds no pairs, expected one a line");
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
  std::string place(std::int64_t line) const { return rows_->place(line); }

 private:
  void read(const dom::object& object, PreferencePair& pair) {
    std::optional<dom::element> share;
    const AnswerFields answers = find_fields(object, share);
    check_prompt(answers.prompt.has_value());
    read_answers(answers, rejected_, pair);
    pair.memberships = columns_.memberships();
    pair.chosen_share = chosen_share(share);
    pair.line = rows_->number();
  }

  // The known fields; each may be there once.
  AnswerFields find_fields(const dom::object& object, std::optional<dom::element>& share) {
    AnswerFields answers;
    columns_.clear();
    for (const auto& [key, value] : object) {
      std::optional<dom::element>* field = answers.find(key);
      if (field == nullptr) field = key == "chosen_share" ? &share : columns_.find(key);
      if (field == nullptr) continue;
      if (*field) throw std::invalid_argument("field \"" + std::string(key) + "\" is given twice");
      *field = value;
    }
    return answers;
  }

  // A file has prompts or it has none: a misspelt key is not to turn one pair's prompt into what its answers share.
  void check_prompt(bool given) {
    if (first_line_ == 0) has_prompts_ = given;
    if (first_line_ == 0) first_line_ = rows_->number();
    if (given == has_prompts_) return;
    const std::string word(rows_->word());
    throw std::invalid_argument(std::string("field \"prompt\" is ") + (given ? "there" : "missing") + ", but not on " +
                                word + " " + std::to_string(first_line_) + ", expected all " + word +
                                "s to have one or none");
  }

  std::filesystem::path path_;
  Rejected rejected_;
  GroupTable groups_;
  GroupColumns columns_;               // looks at groups_
  std::vector<std::string> required_;  // rows_ looks at it
  std::unique_ptr<DataRows> rows_;
  dom::parser parser_;
  std::int64_t first_line_ = 0;  // 0: none was read
  bool has_prompts_ = false;
};

PreferenceReader::PreferenceReader(const std::filesystem::path& path, PreferenceReadSettings settings)
    : impl_(std::make_unique<Impl>(path, settings)) {}
PreferenceReader::PreferenceReader(PreferenceReader&&) noexcept = default;
PreferenceReader& PreferenceReader::operator=(PreferenceReader&&) noexcept = default;
PreferenceReader::~PreferenceReader() = default;

bool PreferenceReader::next(PreferencePair& pair) { return impl_->next(pair); }

const std::vector<std::string>& PreferenceReader::group_names() const { return impl_->group_names(); }

std::string PreferenceReader::place(std::int64_t line) const { return impl_->place(line); }

}  // namespace equipoise
