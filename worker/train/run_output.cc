#include "worker/train/run_output.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "common/config/job_file.h"

namespace equipoise {

namespace fs = std::filesystem;

void check_output(const JobConfig& config) {
  if (fs::exists(config.output) && !fs::is_directory(config.output)) {
    throw std::invalid_argument("output " + config.output.string() + " is not a folder");
  }
}

void prepare_output(const JobConfig& config, const v1::JobSpec& spec) {
  const char* const parts[] = {"metrics.jsonl", "job.yaml", "report.html", "final"};
  for (const char* part : parts) {
    const fs::path path = config.output / part;
    if (!fs::exists(fs::symlink_status(path))) continue;
    if (!config.overwrite) {
      throw std::invalid_argument("output " + config.output.string() + " holds a run already (" + part +
                                  "): choose another folder, or pass --overwrite (overwrite: true)");
    }
    fs::remove_all(path);
  }
  fs::create_directories(config.output);
  std::ofstream job_file(config.output / "job.yaml");
  job_file << job_spec_to_yaml(resolve_defaults(spec)) << std::flush;
  if (!job_file) throw std::invalid_argument("cannot write " + (config.output / "job.yaml").string());
}

}  // namespace equipoise
