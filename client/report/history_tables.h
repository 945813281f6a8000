// What is on record of a job beside its steps, as tables for people.
#pragma once

#include <string>

#include "client/console/console.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise {

// One row each, times in local time. Why an attempt ended stands in its last column.
std::string attempt_table(const v1::ListAttemptsResponse& list, Colors colors, Glyphs glyphs);
std::string job_checkpoint_table(const v1::ListCheckpointsResponse& list, Colors colors, Glyphs glyphs);
std::string event_table(const v1::ListEventsResponse& list, Colors colors, Glyphs glyphs);

}  // namespace equipoise
