// A job in words and numbers.
#pragma once

#include <google/protobuf/message.h>
#include <google/protobuf/timestamp.pb.h>

#include <filesystem>
#include <limits>
#include <span>
#include <string>

#include "client/console/console.h"
#include "client/table/text_table.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise {

// Protobuf's JSON mapping with the names of the proto files, zeros included (int64 as text), but enums that are not set
// left out; ends with a newline.
std::string json_text(const google::protobuf::Message& message);

// "2026-11-30 12:00:00".
std::string local_time(const google::protobuf::Timestamp& time);

// One row per job: id, state, steps, loss, worst group, when it was created (local time); the step of the newest
// checkpoint and the number of restarts where a job has some. A line below for each job that is recovering says why.
// With kWide all of these, name, priority, ranks, speed, time left and output too, and names of groups in full.
//   columns  of the terminal: with kUsual what matters less is left out of a wider table
std::string job_list_table(std::span<const v1::TrainingJob> jobs, Colors colors, Glyphs glyphs,
                           TableDetail detail = TableDetail::kUsual,
                           std::size_t columns = std::numeric_limits<std::size_t>::max());

// With what its groups lost before the first step, from the first line of metrics.jsonl in its output, where the job
// does not know: one that goes on from a checkpoint of another service's. As it is where that cannot be read.
v1::TrainingJob with_first_evaluation(v1::TrainingJob job);

// A line per property, then the table of groups.
std::string job_description(const v1::TrainingJob& job, Colors colors, Glyphs glyphs);

// What a run's data lost on the way to its batches, from data.json in its output.

// A line for each split that lost something: "3 of 183 training pairs are left out and 12 are shortened; data.json says
// of which groups". Lines for prompts that merge into answers or are repeated in them follow. Empty where nothing was
// lost, or there is no such file that can be read: it is a note, and no result.
std::string data_notes(const std::filesystem::path& output);

}  // namespace equipoise
