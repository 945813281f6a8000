#include <memory>
#include <optional>

#include "client/command_line/verb.h"
#include "client/connection/interrupts.h"
#include "client/connection/private_folder.h"
#include "client/connection/private_service.h"
#include "client/evaluate/evaluation_ranks.h"
#include "client/evaluate/evaluation_request.h"
#include "client/evaluate/evaluation_table.h"
#include "common/base/durable_file.h"
#include "common/base/error.h"
#include "common/base/output_lock.h"
#include "common/config/job_file.h"

namespace equipoise {
namespace {

std::string evaluation_report(const EvaluationSummary& summary, const std::string& output, const Console& console) {
  const std::string left_out = left_out_text(summary);
  return evaluation_table(summary, console.colors, console.glyphs) + (left_out.empty() ? "" : "\n" + left_out + "\n") +
         "\npairs: " + output + "\n";
}

void evaluate(const EvaluationFlags& flags, const Console& console) {
  JobInbox inbox;
  const Interrupts interrupts([&inbox](int signal) { inbox.interrupt(signal); });
  PrivateFolder folder;
  const v1::JobSpec request = evaluation_request(flags, folder.path());
  write_durably(folder.path() / "request.yaml", job_spec_to_yaml(request));
  const OutputLock lock =
      OutputLock::beside({.field = "--output", .path = request.output()}, {.program = "equipoise evaluate"});
  // Made now, so that a place where nothing can be written is found before the models are read.
  DurableFile output(request.output());
  std::optional<EvaluationDisplay> display;
  if (!flags.quiet) display.emplace(flags.result.progress_console(console));
  try {
    run_evaluation_ranks({.worker = program_folder() / "equipoise-worker",
                          .workers = flags.workers,
                          .folder = folder.path(),
                          .settings = folder.mpirun_settings(),
                          .pairs = output.path_aside()},
                         inbox, display ? &*display : nullptr);
  } catch (const PeerError& failure) {
    const std::filesystem::path logs =
        folder.keep_logs(request.output() + ".failure", {folder.path() / "stderr.log", folder.path() / "stdout.log"});
    throw PeerError(failure.what() + ("; log: " + (logs / "stderr.log").string()) + folder.disk_space_advice());
  }
  const EvaluationSummary summary = read_evaluation_summary(folder.path() / "summary.json");
  output.commit();
  if (flags.quiet && flags.result.is_for_people()) return;
  flags.result.print({.text = [&] { return evaluation_report(summary, request.output(), console); },
                      .json = [&] { return evaluation_json(summary, request.output()); },
                      .document = [&](TableFormat format) { return evaluation_markup(summary, format); }},
                     console);
}

}  // namespace

void add_evaluate_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<EvaluationFlags>();
  CLI::App* verb = parent.add_subcommand("evaluate", "Score a model on every pair of a file, and by group");
  flags->add_to(*verb);
  verb->footer(
      "Prints every group's mean loss and accuracies with their standard errors. Ctrl-C leaves the output as it was.\n"
      "Exit code: 0 done, 2 the input is not right, 1 anything else failed, 130 interrupted.\n"
      "\n"
      "  equipoise evaluate --model runs/gr-dpo/final --reference models/sft --data data/validation.jsonl \\\n"
      "    --output pairs.jsonl --np 2");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { evaluate(*flags, console); }; });
}

}  // namespace equipoise
