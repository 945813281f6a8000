#include <memory>

#include "client/command_line/job_inputs.h"
#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/connection/private_service.h"
#include "client/report/group_tables.h"
#include "client/report/job_summary.h"

namespace equipoise {
namespace {

struct TrainFlags {
  JobFlags job;
  bool quiet = false;
  std::string log_level;
};

v1::JobSpec embedded_spec(const JobFlags& flags) {
  RequestedJob job = flags.job();
  check_job_inputs(job.config);
  job.spec.mutable_launch()->set_mode(v1::LAUNCH_MODE_COORDINATOR);
  if (!job.spec.launch().has_workers()) job.spec.mutable_launch()->set_workers(1);
  return job.spec;
}

void report(const v1::TrainingJob& job, const Console& console) {
  const std::string table = group_table(job, console.colors, console.glyphs);
  if (!table.empty()) console.out << "\n" << table;
  const std::string notes = data_notes(job.spec().output());
  if (!notes.empty()) console.out << "\n" << notes;
  // Training that ended before its last step says why.
  if (job.step() < job.total_steps()) console.out << "\n" << job.state_reason() << "\n";
  console.out << "\nmodel: " << job.spec().output() << "/final\n";
}

void train(const TrainFlags& flags, const Console& console) {
  const v1::JobSpec spec = embedded_spec(flags.job);
  PrivateService service(flags.log_level);
  const auto display = flags.quiet ? make_silent_display() : make_display(console);
  const v1::TrainingJob job = service.run(spec, *display);
  if (!flags.quiet) report(job, console);
}

}  // namespace

void add_train_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* verb = parent.add_subcommand("train", "Train on this machine: starts all it needs, shows progress, ends");
  flags->job.add_to(*verb);
  verb->add_flag("--quiet", flags->quiet, "Say nothing unless something fails");
  verb->add_option("--log-level", flags->log_level, "Of the coordinator's log")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}));
  verb->footer(
      "The run's folder receives metrics.jsonl, job.yaml and the model in final/. Ctrl-C cancels the job.\n"
      "Exit code: 0 done, 2 the input is not right, 1 anything else failed, 130 interrupted.\n"
      "\n"
      "  equipoise train job.yaml --np 2 --set robust.step_size=0.1 --output runs/faster");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { train(*flags, console); }; });
}

}  // namespace equipoise
