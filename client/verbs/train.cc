#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "client/command_line/job_inputs.h"
#include "client/command_line/resume_point.h"
#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/connection/private_service.h"
#include "client/report/group_tables.h"
#include "client/report/job_summary.h"
#include "client/table/display_width.h"
#include "client/verbs/message_result.h"

namespace equipoise {
namespace {

struct TrainFlags {
  JobFlags job;
  bool quiet = false;
  std::string log_level;
  ResultFlags result;
};

RequestedJob embedded_job(const JobFlags& flags) {
  RequestedJob job = flags.job();
  try {
    check_job_inputs(job.config);
  } catch (const std::invalid_argument& fault) {
    throw std::invalid_argument(flags.with_place(fault.what()));
  }
  job.spec.mutable_launch()->set_mode(v1::LAUNCH_MODE_COORDINATOR);
  if (!job.spec.launch().has_workers()) job.spec.mutable_launch()->set_workers(1);
  return job;
}

std::string training_report(const v1::TrainingJob& job, const Console& console) {
  std::string text;
  const std::string table = group_table(with_first_evaluation(job), console.colors, console.glyphs);
  if (!table.empty()) text += "\n" + table;
  const std::string notes = data_notes(job.spec().output());
  if (!notes.empty()) text += "\n" + notes;
  // Training that ended before its last step says why, and one that was not applied how much of it.
  if (job.step() < job.total_steps() || job.skipped_steps() > 0) text += "\n" + printable(job.state_reason()) + "\n";
  return text + "\nmodel: " + job.spec().output() + "/final\n";
}

// As a shell reads it.
std::string shell_word(const std::string& text) {
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("_-./+,:@").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (std::ranges::all_of(text, is_plain)) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

// "; equipoise train job.yaml --resume goes on from step 120"; empty where the run has left no checkpoint. With further
// flags it is the run's folder that has all settings.
//   before  the newest checkpoint in the output when the run began, where the run was not to go on from there
std::string advice_to_resume(const JobFlags& flags, const JobConfig& config, const std::optional<std::string>& before) {
  const auto newest = newest_checkpoint(config.output);
  if (!newest || newest->identity == before) return "";
  const bool is_changed = !flags.settings.empty() || flags.workers || !flags.output.empty();
  return "; equipoise train " + shell_word(is_changed ? config.output.string() : flags.file.string()) +
         " --resume goes on from step " + std::to_string(newest->step);
}

// What a run that this one replaces has left.
std::optional<std::string> replaced_checkpoint(const JobConfig& config) {
  const auto newest = config.overwrite ? newest_checkpoint(config.output) : std::nullopt;
  return newest ? std::optional(newest->identity) : std::nullopt;
}

v1::TrainingJob run_job(const TrainFlags& flags, const RequestedJob& job, PrivateService& service,
                        ProgressDisplay& display) {
  const auto before = replaced_checkpoint(job.config);
  try {
    return service.run(job.spec, display);
  } catch (const CommandError& error) {
    const std::string advice = advice_to_resume(flags.job, job.config, before);
    if (advice.empty() || error.code() == ExitCode::kBadInput) throw;
    throw CommandError(error.code(), error.what() + advice);
  } catch (const PeerError& error) {
    const std::string advice = advice_to_resume(flags.job, job.config, before);
    if (advice.empty()) throw;
    throw PeerError(error.what() + advice);
  }
}

void train(const TrainFlags& flags, const Console& console) {
  const RequestedJob requested = embedded_job(flags.job);
  const std::string start = resume_text(requested.config);
  const Console progress = flags.result.progress_console(console);
  if (!flags.quiet && !start.empty()) progress.out << start << std::endl;
  PrivateService service(flags.log_level);
  const auto display = flags.quiet ? make_silent_display() : make_display(progress);
  const v1::TrainingJob job = run_job(flags, requested, service, *display);
  if (flags.quiet && flags.result.is_for_people()) {
    if (2 * job.skipped_steps() > job.step())
      console.err << "equipoise train: " << printable(job.state_reason()) << "\n";
    return;
  }
  flags.result.print(job_result(job, [&] { return training_report(job, console); }), console);
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
  flags->result.add_to(*verb);
  verb->footer(
      "The run's folder receives metrics.jsonl, job.yaml and the model in final/. Ctrl-C cancels the job;\n"
      "SIGTERM, as of a batch system, lets it make a checkpoint first. --resume goes on from its newest checkpoint.\n"
      "Exit code: 0 done, 2 the input is not right, 1 anything else failed, 130 interrupted.\n"
      "\n"
      "  equipoise train job.yaml --np 2 --set robust.step_size=0.1 --output runs/faster\n"
      "  equipoise train job.yaml --resume");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { train(*flags, console); }; });
}

}  // namespace equipoise
