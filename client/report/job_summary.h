// A job in words and numbers.
#pragma once

#include <google/protobuf/message.h>

#include <span>
#include <string>

#include "client/console.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise {

// Protobuf's JSON mapping with the names of the proto files, zeros included (int64 as text); ends with a newline.
std::string json_text(const google::protobuf::Message& message);

// One row per job: id, state, steps, loss, worst group, when it was created (local time).
std::string job_list_table(std::span<const v1::TrainingJob> jobs, Colors colors, Glyphs glyphs);

// A line per property, then the table of groups.
std::string job_description(const v1::TrainingJob& job, Colors colors, Glyphs glyphs);

}  // namespace equipoise
