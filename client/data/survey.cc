#include "client/data/survey.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <utility>

#include "common/base/durable_file.h"
#include "common/base/message_text.h"
#include "common/dataset/json_fault.h"
#include "common/dataset/text_file.h"

namespace equipoise {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t kLongestLine = 1 << 20;  // 1 MiB

using Fields = std::map<std::string_view, dom::element>;

[[noreturn]] void refuse(std::string_view field, const std::string& found, const std::string& wanted) {
  throw std::invalid_argument("field \"" + std::string(field) + "\" " + found + ", expected " + wanted);
}

Fields fields_of(const dom::element& document) {
  dom::object object;
  if (document.get_object().get(object) != simdjson::SUCCESS) {
    throw std::invalid_argument("the line is not an object, expected {\"key\": ..., \"question\": ...}");
  }
  Fields fields;
  for (const auto& [key, value] : object) {
    if (!fields.emplace(key, value).second)
      throw std::invalid_argument("field " + quoted_text(key) + " is given twice");
  }
  return fields;
}

const dom::element& required(const Fields& fields, std::string_view field, const std::string& wanted) {
  const auto place = fields.find(field);
  if (place == fields.end()) refuse(field, "is missing", wanted);
  return place->second;
}

std::string text_of(const dom::element& value, std::string_view field) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) refuse(field, "is not text", "text");
  // Escapes can spell half a surrogate pair.
  if (!is_utf8(text)) refuse(field, "is " + quoted_text(text), "Unicode text");
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) refuse(field, "is empty", "text");
  return std::string(text);
}

std::string text_field(const Fields& fields, std::string_view field) {
  return text_of(required(fields, field, "text"), field);
}

dom::array list_field(const Fields& fields, std::string_view field, const std::string& wanted) {
  dom::array list;
  if (required(fields, field, wanted).get_array().get(list) != simdjson::SUCCESS) {
    refuse(field, "is not a list", wanted);
  }
  return list;
}

std::vector<std::string> options_of(const Fields& fields) {
  std::vector<std::string> options;
  for (const dom::element& option : list_field(fields, "options", "a list of texts")) {
    options.push_back(text_of(option, "options[" + std::to_string(options.size()) + "]"));
    if (std::count(options.begin(), options.end(), options.back()) > 1) {
      refuse("options", "holds " + quoted_text(options.back()) + " twice", "different options");
    }
  }
  if (options.empty() || options.size() > kMaxOptions) {
    refuse("options", "has " + std::to_string(options.size()) + " entries", "1 to " + std::to_string(kMaxOptions));
  }
  return options;
}

std::vector<double> shares_of(const Fields& fields, std::size_t num_options) {
  std::vector<double> shares;
  for (const dom::element& value : list_field(fields, "distribution", "a list of numbers")) {
    const std::string field = "distribution[" + std::to_string(shares.size()) + "]";
    double share = 0;
    if (value.get_double().get(share) != simdjson::SUCCESS) refuse(field, "is not a number", "a share >= 0");
    if (!std::isfinite(share) || share < 0) refuse(field, "is " + number_text(share), "a share >= 0");
    shares.push_back(share);
  }
  if (shares.size() != num_options) {
    refuse("distribution", "has " + std::to_string(shares.size()) + " entries",
           std::to_string(num_options) + " as \"options\"");
  }
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (!(sum > 0) || !std::isfinite(sum)) refuse("distribution", "sums to " + number_text(sum), "a sum above 0");
  return shares;
}

// Collects the lines of one file and remembers where each thing was first said.
class SurveyBuilder {
 public:
  void add(const Fields& fields, std::int64_t line) {
    const std::size_t question = question_of(fields, line);
    SurveyAnswer answer{.question = question,
                        .attribute = text_field(fields, "attribute"),
                        .group = text_field(fields, "group"),
                        .shares_O = shares_of(fields, survey_.questions[question].options.size())};
    const auto [place, is_new] = answer_lines_.try_emplace({question, answer.group}, line);
    if (!is_new) {
      throw std::invalid_argument("group " + quoted_text(answer.group) +
                                  " has already answered this question in line " + std::to_string(place->second) +
                                  ", expected one answer a group");
    }
    survey_.answers.push_back(std::move(answer));
  }

  Survey take() { return std::move(survey_); }

 private:
  std::size_t question_of(const Fields& fields, std::int64_t line) {
    SurveyQuestion question{
        .key = text_field(fields, "key"), .text = text_field(fields, "question"), .options = options_of(fields)};
    const auto [place, is_new] =
        questions_.try_emplace({question.key, question.text}, FirstSeen{survey_.questions.size(), line});
    if (is_new) {
      survey_.questions.push_back(std::move(question));
    } else if (survey_.questions[place->second.index].options != question.options) {
      refuse("options", "are others than in line " + std::to_string(place->second.line), "the same for one question");
    }
    return place->second.index;
  }

  struct FirstSeen {
    std::size_t index;
    std::int64_t line;
  };
  Survey survey_;
  std::map<std::pair<std::string, std::string>, FirstSeen> questions_;        // by key and text
  std::map<std::pair<std::size_t, std::string>, std::int64_t> answer_lines_;  // by question and group
};

dom::element parse(dom::parser& parser, std::string_view line) {
  dom::element document;
  const auto problem = parser.parse(line.data(), line.size(), false).get(document);
  if (problem != simdjson::SUCCESS) throw std::invalid_argument(json_fault(line, problem));
  return document;
}

}  // namespace

Survey read_opinionqa(const std::filesystem::path& path, const OnBytes& on_bytes) {
  LineReader lines(path, {.longest_line = kLongestLine, .padding = simdjson::SIMDJSON_PADDING});
  dom::parser parser;
  SurveyBuilder builder;
  NewBytes new_bytes;
  while (lines.next()) {
    new_bytes.tell(lines.bytes_read(), on_bytes);
    if (lines.line().find_first_not_of(" \t\r") == std::string_view::npos) continue;
    try {
      builder.add(fields_of(parse(parser, lines.line())), lines.line_number());
    } catch (const std::invalid_argument& problem) {
      lines.refuse(problem.what());  // the parts above do not know where they are
    }
  }
  Survey survey = builder.take();
  if (survey.answers.empty()) throw std::invalid_argument(path.string() + ": holds no answers, expected one a line");
  return survey;
}

void write_opinionqa(const std::filesystem::path& path, const Survey& survey) {
  const auto json = [](const auto& value) { return nlohmann::json(value).dump(); };
  DurableFile file(path);
  for (const SurveyAnswer& answer : survey.answers) {
    const SurveyQuestion& question = survey.questions.at(answer.question);
    file.write("{\"key\": " + json(question.key) + ", \"question\": " + json(question.text) +
               ", \"options\": " + json(question.options) + ", \"attribute\": " + json(answer.attribute) +
               ", \"group\": " + json(answer.group) + ", \"distribution\": " + json(answer.shares_O) + "}\n");
  }
  file.commit();
}

}  // namespace equipoise
