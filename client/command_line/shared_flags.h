// The flags that several verbs have: of a coordinator, of a job file, of files of preferences. Those of results:
// result_output.h.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/connection/connection.h"
#include "common/config/job_config.h"
#include "common/dataset/preference_reader.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

struct CoordinatorFlags {
  std::string address;
  int timeout_seconds = 10;
  ServiceFiles files;

  // --coordinator HOST:PORT (or EQUIPOISE_COORDINATOR), --timeout SECONDS; --tls-ca, --tls-cert, --tls-key and
  // --token-file (or EQUIPOISE_TLS_CA, ...). `this` outlives `verb`.
  void add_to(CLI::App& verb);
  Connection connect(const StopRequest& stop = nullptr) const;
};

// Declares --etag on `verb`: the job must be as it was read. `etag` outlives the verb.
void add_etag_flag(CLI::App& verb, std::string& etag);

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
  std::optional<std::string> resume = {};  // the value of --resume

  // JOB.yaml, --np, --set, --output, --overwrite, --resume. `this` outlives `verb`.
  void add_to(CLI::App& verb);
  // The file with the flags applied; with --resume a run's folder stands for its job.yaml and is the output. Throws
  // std::invalid_argument where the file or the settings are not right.
  //   before_look  is told of each file or folder before it is looked at
  RequestedJob job(const std::function<void(const std::filesystem::path&)>& before_look = {}) const;
  // `fault`, which begins with the name of a setting, behind "FILE:LINE: " where the file has that, and no flag takes
  // its place.
  std::string with_place(const std::string& fault) const;

 private:
  bool resumes() const;
};

// Who says the group of a pair.
struct GroupFlags {
  std::string group;
  std::string group_columns = "group";  // with commas between them
  std::string group_separator;

  std::vector<std::string> columns() const;
};

// Declares --group, --group-columns and --group-separator on `verb`. `flags` outlives it.
void add_group_flags(CLI::App& verb, GroupFlags& flags);

struct PreferenceFlags {
  std::vector<std::string> files;
  GroupFlags groups;
  bool sft = false;

  std::vector<std::filesystem::path> paths() const { return {files.begin(), files.end()}; }
  PreferenceReadSettings settings() const;
  std::int64_t bytes() const;  // of all of them, as far as they are there
};

// Declares FILE... and the options on `verb`. `flags` outlives it.
void add_preference_flags(CLI::App& verb, PreferenceFlags& flags);

}  // namespace equipoise
