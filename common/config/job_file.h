// A job's YAML file: message JobSpec in Protobuf's JSON mapping, snake_case or lowerCamelCase keys, enum values
// short and in lower case.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Reads `path`, applies `overrides` ("loss.beta=0.2", the value in YAML) and makes relative file paths absolute,
// based on the folder of `path`. A job without a name has that of its file, as far as it can be one.
// Throws std::invalid_argument "FILE:LINE: ..." for a file that cannot be read, bad YAML, an unknown key (with
// the nearest known one), a duplicate key or a value of the wrong type.
v1::JobSpec read_job_file(const std::filesystem::path& path, std::span<const std::string> overrides);

// Where the file at `path` has the setting that `fault` begins with ("training.max_steps is -1, ...", "data.train:
// ..."), as messages have it: "FILE:LINE: ". Empty where it does not have it, or one of `overrides` takes its place.
// Throws nothing.
std::string place_of_setting(const std::filesystem::path& path, std::span<const std::string> overrides,
                             std::string_view fault);

// Sets the fields that the YAML `text` names, in place of what `spec` has there; paths stay as they are written. `name`
// stands for the file in messages. Throws as read_job_file does; `spec` is then partly set.
void merge_job_text(const std::string& name, const std::string& text, v1::JobSpec& spec);

// Sets one field as `--set` does: "loss.beta=0.2", the value in YAML; paths stay as they are written. Throws as
// read_job_file does.
void merge_override(const std::string& assignment, v1::JobSpec& spec);

// The same message as YAML text: every field that is set, enum values short, doubles in the shortest form that
// reads back to the same bits.
std::string job_spec_to_yaml(const v1::JobSpec& spec);

}  // namespace equipoise
