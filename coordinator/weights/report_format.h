// A report of a step as the database keeps it: some 10 bytes for each group of its batch.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// Every number bit by bit; without job, generation and step, which are the key of the record. `report` is one that
// check_step_report() takes.
//
//   number of groups, then of each: id less the one before less 1 (the first: id), pair count, loss sum
//   batch_pairs
//   number of groups in non_finite_group, then of each its id, in the same way
//
// Ids and numbers of groups are varints. A count is n + 1 as a varint where it is a whole number n from 0 to 2^52 - 1,
// else 0 and float64. A loss sum is float64. Float64 is little-endian.
std::string encoded_report(const v1::ReportStepRequest& report);

// nullopt: it is none.
std::optional<v1::ReportStepRequest> decoded_report(std::string_view bytes);

}  // namespace equipoise::coordinator
