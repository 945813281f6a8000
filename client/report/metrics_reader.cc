#include "client/report/metrics_reader.h"

#include <fstream>
#include <limits>
#include <stdexcept>

#include "common/base/message_text.h"

namespace equipoise {

MetricsRecord::MetricsRecord(std::string where, std::string_view text)
    : where_(std::move(where)), record_(nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false)) {
  if (!record_.is_object()) refuse("is not a JSON object");
}

void MetricsRecord::refuse(const std::string& what) const { throw std::invalid_argument(where_ + ": " + what); }

bool MetricsRecord::has(const Field& field) const { return record_.contains(field.name); }

bool MetricsRecord::is_evaluation() const {
  const auto split = record_.find(metrics_schema::kSplit.name);
  return split != record_.end() && *split == metrics_schema::kSplitValidation;
}

std::int64_t MetricsRecord::integer(const Field& field) const {
  const auto found = record_.find(field.name);
  if (found == record_.end() || !found->is_number_integer()) {
    refuse("field " + quoted_text(field.name) + " is missing or not an integer");
  }
  return found->get<std::int64_t>();
}

std::vector<std::pair<std::string, double>> MetricsRecord::by_group(const Field& field) const {
  return numbers_of(std::string(field.name));
}

std::vector<std::pair<std::string, double>> MetricsRecord::errors_by_group(const Field& field) const {
  return numbers_of(std::string(field.name) + std::string(metrics_schema::kErrorSuffix));
}

std::vector<std::pair<std::string, double>> MetricsRecord::numbers_of(const std::string& name) const {
  std::vector<std::pair<std::string, double>> numbers;
  const auto found = record_.find(name);
  if (found == record_.end()) return numbers;
  if (!found->is_object()) refuse("field " + quoted_text(name) + " is not an object of group names");
  for (const auto& [group, value] : found->items()) {
    if (!value.is_null() && !value.is_number()) {
      refuse("field " + quoted_text(name) + " holds no number for group " + quoted_text(group));
    }
    numbers.emplace_back(group, value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  }
  return numbers;
}

namespace {

std::ifstream opened(const std::filesystem::path& file) {
  std::error_code ignored;
  const auto status = std::filesystem::status(file, ignored);
  if (status.type() == std::filesystem::file_type::not_found) {
    throw std::invalid_argument(file.string() + ": does not exist, expected the folder of a run or its metrics.jsonl");
  }
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw std::invalid_argument(file.string() + ": is not a file");  // a pipe or a device could block or never end
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream.is_open()) throw std::invalid_argument(file.string() + ": cannot be read");
  return stream;
}

}  // namespace

void read_metrics(const std::filesystem::path& file, const std::function<void(const MetricsRecord& record)>& use) {
  std::ifstream stream = opened(file);
  std::string text;
  for (std::size_t number = 1; std::getline(stream, text) && !stream.eof(); ++number) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    use(MetricsRecord(file.string() + ":" + std::to_string(number), text));
  }
  if (stream.bad()) throw std::invalid_argument(file.string() + ": cannot be read");
}

std::optional<MetricsRecord> first_record(const std::filesystem::path& file) {
  std::ifstream stream = opened(file);
  std::string text;
  if (!std::getline(stream, text) || stream.eof()) return std::nullopt;
  return MetricsRecord(file.string() + ":1", text);
}

}  // namespace equipoise
