// ListTrainingJobsRequest.filter: comparisons of fields of a job, joined by AND.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

class JobFilter {
 public:
  // The grammar, with space anywhere between its parts:
  //   filter      nothing, or comparison { "AND" comparison }, at most 32 of them in 1024 bytes
  //   comparison  FIELD OPERATOR VALUE
  //   VALUE       a word without space and quotes, or any text in double quotes, where \" and \\ stand for " and \.
  // FIELD and its operators:
  //   id, name, parent_id                = != : (contains)
  //   state, failure_kind                = !=            a name as QUEUED or INFRASTRUCTURE, in any case
  //   priority, step                     = != < <= > >=  an integer
  //   create_time, start_time, end_time  = != < <= > >=  as 2026-11-30T12:00:00Z; a job that has none satisfies != only
  // Throws std::invalid_argument naming the column, what is there and what was expected.
  explicit JobFilter(const std::string& text);

  bool holds(const v1::TrainingJob& job) const;

 private:
  enum class Operator { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual, kContains };
  using Value = std::variant<std::string, std::int64_t>;
  struct Comparison {
    int field;  // of the table in job_filter.cc
    Operator op;
    Value value;
  };
  class Parser;
  static bool is_true(const Comparison& comparison, const v1::TrainingJob& job);

  std::vector<Comparison> comparisons_;
};

}  // namespace equipoise::coordinator
