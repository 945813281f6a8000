// The flags of the verbs that read a job's YAML file.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// A job as it is submitted, and what make_job_config makes of it.
struct RequestedJob {
  v1::JobSpec spec;
  JobConfig config;
};

struct JobFlags {
  std::filesystem::path file;
  std::vector<std::string> settings;
  std::optional<int> workers;
  std::string output;
  bool overwrite = false;

  // JOB.yaml, --np, --set, --output, --overwrite. `this` outlives `verb`.
  void add_to(CLI::App& verb);
  // The file with the flags applied. Throws std::invalid_argument where the file or the settings are not right.
  RequestedJob job() const;
};

}  // namespace equipoise
