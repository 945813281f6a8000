// What `equipoise evaluate` was asked for, as the job file that the ranks read.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "client/command_line/result_output.h"
#include "client/command_line/shared_flags.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

struct EvaluationFlags {
  std::string model, adapter, reference, data, output;
  std::string loss = "dpo", dtype = "float32";
  std::optional<double> beta;
  std::optional<int> max_length;
  std::optional<std::int64_t> micro_batch_tokens;
  std::string chat_template;
  std::vector<std::string> settings;  // KEY=VALUE of sections data and loss
  GroupFlags groups;
  ResultFlags result;
  int workers = 1;
  bool quiet = false;

  // `this` outlives `verb`.
  void add_to(CLI::App& verb);
};

// Sections model, data (train is the file; with --group it is the only one of train_files), loss and training, with
// absolute paths and every check of a job passed. `folder` receives a file that is written and read. Without a
// reference the loss is reference_free. Throws std::invalid_argument naming the flag or the field, the value and what
// would be right: also where a model or the data is not there, or the output is one of the files that are read.
v1::JobSpec evaluation_request(const EvaluationFlags& flags, const std::filesystem::path& folder);

}  // namespace equipoise
