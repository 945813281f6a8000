#include "client/data/csv_reader.h"

#include <stdexcept>
#include <utility>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

constexpr std::size_t kLongestRecord = 1 << 20;  // 1 MiB

}  // namespace

CsvReader::CsvReader(std::filesystem::path path)
    : path_(std::move(path)), lines_(path_, {.longest_line = kLongestRecord, .padding = 0}) {}

void CsvReader::refuse(const std::string& what) const {
  throw std::invalid_argument(path_.string() + ":" + std::to_string(line_number_) + ": " + what);
}

bool CsvReader::next() {
  fields_.clear();
  do {
    if (!lines_.next()) return false;
  } while (lines_.line().find_first_not_of('\r') == std::string_view::npos);
  line_number_ = lines_.line_number();
  record_bytes_ = 0;
  fields_.emplace_back();
  State state = read_line(lines_.line(), State::kFieldStart);
  while (state == State::kQuoted) {
    if (!lines_.next()) refuse("field " + std::to_string(fields_.size()) + " begins with a quote and does not end");
    fields_.back() += '\n';
    state = read_line(lines_.line(), state);
  }
  for (const std::string& field : fields_) {
    if (!is_utf8(field)) refuse("field " + quoted_text(field) + " is not UTF-8");
  }
  return true;
}

CsvReader::State CsvReader::read_line(std::string_view line, State state) {
  record_bytes_ += line.size() + 1;
  if (record_bytes_ > kLongestRecord) {
    refuse("the record is longer than " + std::to_string(kLongestRecord) + " bytes; is a quote missing?");
  }
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool line_end = line[i] == '\r' && i + 1 == line.size() && state != State::kQuoted;
    if (!line_end) state = read_character(line[i], state);
  }
  return state;
}

CsvReader::State CsvReader::read_character(char character, State state) {
  const auto where = [this] { return "field " + std::to_string(fields_.size()); };
  if (state == State::kQuoted) {
    if (character == '"') return State::kQuoteSeen;
    fields_.back() += character;
    return state;
  }
  if (character == ',') {
    fields_.emplace_back();
    return State::kFieldStart;
  }
  if (character == '"') {
    if (state == State::kFieldStart) return State::kQuoted;
    if (state == State::kPlain) refuse(where() + " has a quote inside, expected the whole field in quotes");
    fields_.back() += '"';  // doubled
    return State::kQuoted;
  }
  if (state == State::kQuoteSeen) {
    refuse(where() + " goes on with " + quoted_text({&character, 1}) + " after its last quote, expected a comma");
  }
  if (character == '\r') refuse(where() + " has a carriage return inside, expected the field in quotes");
  fields_.back() += character;
  return State::kPlain;
}

}  // namespace equipoise
