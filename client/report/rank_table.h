// The ranks of a job's attempt, for people.
#pragma once

#include <string>

#include "client/console/console.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise {

// A row for each: rank, host, process, what it does, steps done, for how long nothing was heard of it, for how long it
// has stood still, and the collective that it is or was in last.
std::string rank_table(const v1::ListRanksResponse& ranks, Colors colors, Glyphs glyphs);

}  // namespace equipoise
