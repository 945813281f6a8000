// What is on record of a job beside its steps, as tables for people.
#pragma once

#include <string>

#include "client/console/console.h"
#include "client/table/text_table.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise {

// One row each, times in local time. Why an attempt ended stands in its last column. kWide adds which rank failed, how
// and where; the SHA-256 of a checkpoint's manifest; the job's revision at an event.
std::string attempt_table(const v1::ListAttemptsResponse& list, Colors colors, Glyphs glyphs,
                          TableDetail detail = TableDetail::kUsual);
std::string job_checkpoint_table(const v1::ListCheckpointsResponse& list, Colors colors, Glyphs glyphs,
                                 TableDetail detail = TableDetail::kUsual);
std::string event_table(const v1::ListEventsResponse& list, Colors colors, Glyphs glyphs,
                        TableDetail detail = TableDetail::kUsual);

}  // namespace equipoise
