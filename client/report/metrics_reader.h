// The reader of metrics.jsonl (common/metrics/metrics_schema.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/metrics/metrics_schema.h"

namespace equipoise {

// One line. All functions throw std::invalid_argument naming file, line and field.
class MetricsRecord {
 public:
  using Field = metrics_schema::Field;

  // where  "FILE:LINE". Throws if `text` is not a JSON object.
  MetricsRecord(std::string where, std::string_view text);

  // Of all validation pairs: the lines of single files are none.
  bool is_evaluation() const;
  bool has(const Field& field) const;
  std::int64_t integer(const Field& field) const;
  // By a group's name, in the order of the file; NaN for null, a number that is not finite. Empty if there is no such
  // field; throws if it is no object of numbers.
  std::vector<std::pair<std::string, double>> by_group(const Field& field) const;
  // "NAME_error" in the same way.
  std::vector<std::pair<std::string, double>> errors_by_group(const Field& field) const;

  const std::string& where() const { return where_; }
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  std::vector<std::pair<std::string, double>> numbers_of(const std::string& name) const;

  std::string where_;
  nlohmann::ordered_json record_;
};

// Hands every line to `use`, in order. A last line that is still being written is left out, and so are empty ones.
// Throws std::invalid_argument if the file cannot be read, and what MetricsRecord and `use` throw.
void read_metrics(const std::filesystem::path& file, const std::function<void(const MetricsRecord& record)>& use);

// The first line; nullopt where there is none that is whole. Throws as read_metrics().
std::optional<MetricsRecord> first_record(const std::filesystem::path& file);

}  // namespace equipoise
