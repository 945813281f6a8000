// Runs side by side, group by group.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "client/console.h"
#include "client/report/run_metrics.h"
#include "client/table/text_table.h"

namespace equipoise {

// A table with a row per group and, for each run, validation loss and reward accuracy before and after, the latter with
// its standard error where the run has it; a star marks the worst group after the run. The last row is each run's
// worst: highest loss, lowest accuracy. Below it a sentence per run names the worst group, and one for each run after
// the first says how far its worst values are from the first one's. Where the table is wider than `columns`, runs go
// into several tables below each other.
std::string run_comparison(std::span<const RunMetrics> runs, std::size_t columns, Colors colors, Glyphs glyphs);

// The same for a document, all runs in one table; as CSV a row for each run and group with its numbers alone. `format`
// is not kText.
std::string run_comparison_markup(std::span<const RunMetrics> runs, TableFormat format);

}  // namespace equipoise
