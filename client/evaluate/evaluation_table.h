// What an evaluation found, by group: the ranks' summary as a table for people.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "client/console/console.h"
#include "client/table/text_table.h"

namespace equipoise {

struct EvaluatedValue {
  double mean = 0;
  std::optional<double> error;  // standard error; none for a single pair
};

struct EvaluatedGroup {
  std::string name;
  double pairs = 0, dropped = 0;  // sums of memberships
  std::optional<EvaluatedValue> loss, reward_accuracy, logp_accuracy;
};

struct EvaluationSummary {
  EvaluatedGroup all;
  std::vector<EvaluatedGroup> groups;
  std::string dropped_reason;  // of the first pair that was left out
  double shortened = 0;        // pairs
};

// Reads what write_summary of the ranks wrote. Throws PeerError if it is not that.
EvaluationSummary read_evaluation_summary(const std::filesystem::path& path);

// The group of the highest loss is marked, where there are several; the last row is of all pairs. Columns that no group
// has a value for are left out.
std::string evaluation_table(const EvaluationSummary& summary, Colors colors, Glyphs glyphs);

// "3 of 40 pairs are left out; the first: ..." and "5 of 37 pairs are shortened", with a line end between them where
// there are both; empty where there is neither.
std::string left_out_text(const EvaluationSummary& summary);

// For programs, with `pairs_file`, the path of the pairs: every number as it is, names as in the ranks' summary.
std::string evaluation_json(const EvaluationSummary& summary, const std::string& pairs_file);

// The same for a document, with what is left out below it; as CSV the numbers alone, each in a column of its own, and
// "(all pairs)" in the last row. `format` is not kText.
std::string evaluation_markup(const EvaluationSummary& summary, TableFormat format);

}  // namespace equipoise
