// Values of fields of metrics.jsonl, in the order in which they stand on a line (common/metrics/metrics_schema.h), and
// which steps have a line.
#pragma once

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/job_config.h"
#include "common/metrics/metrics_schema.h"

namespace equipoise {

// Keeps the order of insertion: people read this file too.
using MetricsJson = nlohmann::ordered_json;

// A number of one group.
struct GroupNumber {
  std::string_view group;  // its name
  double value = 0;
};

// A value that is not of the type of its field ends the program (EQUIPOISE_CHECK): others read the file by the schema.
class MetricsFields {
 public:
  using Field = metrics_schema::Field;

  void set(const Field& field, std::int64_t value);
  void set(const Field& field, double value);
  void set(const Field& field, std::string_view value);
  void set(const Field& field, std::span<const double> values);
  void set(const Field& field, std::span<const GroupNumber> numbers);
  void set_flag(const Field& field);
  // "NAME_error" of a field whose mean has a standard error.
  void set_error(const Field& field, double error);
  void set_error(const Field& field, std::span<const GroupNumber> errors);
  // "group/NAME/quantity"; `field` is one of kFlatFields.
  void set_flat(const Field& field, std::string_view group, double value);
  void add(const MetricsFields& further);

  // prefix  in front of the names that the schema gives one: "" on training lines, "eval_", "eval_FILE_"
  // A field that such a line has not ends the program.
  MetricsJson line(metrics_schema::Lines kind, std::string_view prefix) const;

 private:
  enum class Part { kValue, kError, kFlat };
  struct Entry {
    const Field* field;
    Part part;
    std::string group;  // of a flat field
    MetricsJson value;
    std::string name(std::string_view prefix) const;
  };
  void put(const Field& field, metrics_schema::Type type, MetricsJson value, Part part = Part::kValue,
           std::string_view group = {});

  std::vector<Entry> entries_;
};

// steps_done >= 1: the step that has just been done.
inline bool is_logged(const LoggingConfig& logging, std::int64_t steps_done) {
  if (logging.at_steps.empty()) return steps_done % logging.every_steps == 0;
  return std::ranges::binary_search(logging.at_steps, steps_done);
}

}  // namespace equipoise
