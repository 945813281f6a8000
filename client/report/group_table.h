// Every group of a job: how many pairs, how much it counts, what it lost before and after.
#pragma once

#include <string>

#include "client/console.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise {

// The worst group (highest validation loss; training loss where nothing was evaluated) is marked. Columns that no group
// has a value for are left out. Empty where the job has no groups yet.
std::string group_table(const v1::TrainingJob& job, Colors colors, Glyphs glyphs);

}  // namespace equipoise
