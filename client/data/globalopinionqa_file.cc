#include "client/data/globalopinionqa_file.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "client/data/csv_reader.h"
#include "client/data/python_literal.h"
#include "common/base/message_text.h"

namespace equipoise {
namespace {

// Positions of the columns we read.
struct Columns {
  std::size_t question = 0;
  std::size_t selections = 0;
  std::size_t options = 0;
  std::size_t count = 0;
};

std::size_t column(const CsvReader& reader, const std::string& name) {
  const std::vector<std::string>& names = reader.fields();
  const auto times = std::count(names.begin(), names.end(), name);
  if (times != 1) {
    reader.refuse("the first line names the column \"" + name + "\" " + std::to_string(times) +
                  " times, expected once: question, selections, options, source");
  }
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

bool is_blank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; }

// Runs read() and says which column an error is about.
template <typename Read>
auto in_column(const CsvReader& reader, const std::string& name, Read read) {
  try {
    return read();
  } catch (const std::invalid_argument& problem) {
    reader.refuse("column \"" + name + "\" " + problem.what());
  }
}

std::vector<std::string> options_of(std::string_view text) {
  std::vector<std::string> options = read_python_texts(text);
  for (std::size_t o = 0; o < options.size(); ++o) {
    if (is_blank(options[o])) {
      throw std::invalid_argument("has an empty option, number " + std::to_string(o + 1) + ", expected text");
    }
  }
  return options;
}

void check_shares(const std::string& group, const std::vector<double>& shares_O, std::size_t num_options) {
  if (is_blank(group)) throw std::invalid_argument("has an empty key, expected the name of a country");
  if (shares_O.size() != num_options) {
    throw std::invalid_argument("has " + std::to_string(shares_O.size()) + " shares for " + quoted_text(group) +
                                ", expected " + std::to_string(num_options) + " as \"options\"");
  }
  for (const double share : shares_O) {
    if (share < 0) {
      throw std::invalid_argument("has the share " + number_text(share) + " for " + quoted_text(group) +
                                  ", expected numbers >= 0");
    }
  }
  if (!std::isfinite(std::accumulate(shares_O.begin(), shares_O.end(), 0.0))) {
    throw std::invalid_argument("has shares for " + quoted_text(group) + " whose sum is not finite");
  }
}

bool says_nothing(const std::optional<std::vector<double>>& shares_O) {
  return !shares_O || std::all_of(shares_O->begin(), shares_O->end(), [](double share) { return share == 0; });
}

void add_answers(std::string_view text, GlobalOpinions& opinions) {
  const std::size_t question = opinions.survey.questions.size() - 1;
  for (auto& [group, shares_O] : read_python_shares(text)) {
    if (says_nothing(shares_O)) {
      ++opinions.answers_without_shares;
      continue;
    }
    check_shares(group, *shares_O, opinions.survey.questions[question].options.size());
    opinions.survey.answers.push_back({question, "country", std::move(group), std::move(*shares_O)});
  }
}

void add_row(const CsvReader& reader, const Columns& columns, GlobalOpinions& opinions) {
  const std::vector<std::string>& fields = reader.fields();
  if (fields.size() != columns.count) {
    reader.refuse("the record has " + std::to_string(fields.size()) + " fields, expected " +
                  std::to_string(columns.count) + " as the first line");
  }
  const std::string& question = fields[columns.question];
  auto options = in_column(reader, "options", [&] {
    return is_blank(fields[columns.options]) ? std::vector<std::string>() : options_of(fields[columns.options]);
  });
  if (is_blank(question) || options.empty()) {
    ++opinions.rows_without_question;
    return;
  }
  if (options.size() > kMaxOptions) {
    ++opinions.rows_with_many_options;
    return;
  }
  opinions.survey.questions.push_back({question, question, std::move(options)});
  in_column(reader, "selections", [&] { add_answers(fields[columns.selections], opinions); });
}

}  // namespace

GlobalOpinions read_globalopinionqa(const std::filesystem::path& path, const OnBytes& on_bytes) {
  CsvReader reader(path);
  if (!reader.next()) throw std::invalid_argument(path.string() + ": is empty, expected a line of column names");
  const Columns columns{column(reader, "question"), column(reader, "selections"), column(reader, "options"),
                        reader.fields().size()};
  GlobalOpinions opinions;
  NewBytes new_bytes;
  while (reader.next()) {
    new_bytes.tell(reader.bytes_read(), on_bytes);
    add_row(reader, columns, opinions);
  }
  if (opinions.survey.answers.empty()) {
    throw std::invalid_argument(path.string() + ": holds no answers, expected a question a record");
  }
  return opinions;
}

}  // namespace equipoise
