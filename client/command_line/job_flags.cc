#include "client/command_line/job_flags.h"

#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/config/job_file.h"

namespace equipoise {

namespace fs = std::filesystem;

void JobFlags::add_to(CLI::App& verb) {
  verb.add_option("JOB.yaml", file, "The job: model, data, loss, how robust")->type_name("")->required();
  verb.add_option("--np", workers, "Worker processes (default: launch.workers of the job, else 1)")
      ->type_name("N")
      ->check(CLI::Range(1, kMostWorkers));
  verb.add_option("--set", settings, "Change one setting: --set loss.beta=0.2; may be repeated")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb.add_option("--output", output, "Folder of the run, instead of the job's `output`")->type_name("DIR");
  verb.add_flag("--overwrite", overwrite, "Replace what an earlier run left there");
}

RequestedJob JobFlags::job() const {
  v1::JobSpec spec = read_job_file(file, settings);
  if (workers) spec.mutable_launch()->set_workers(*workers);
  if (!output.empty()) spec.set_output(fs::absolute(output).lexically_normal().string());
  if (overwrite) spec.set_overwrite(true);
  JobConfig config = make_job_config(spec);
  std::error_code ignored;
  if (fs::equivalent(file, config.output / "job.yaml", ignored)) {
    throw std::invalid_argument("output " + config.output.string() + " would replace the job file " + file.string() +
                                " itself: choose another folder with --output");
  }
  return {.spec = std::move(spec), .config = std::move(config)};
}

}  // namespace equipoise
