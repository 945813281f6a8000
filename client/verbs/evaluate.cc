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

void report(const EvaluationSummary& summary, const std::string& output, const Console& console) {
  console.out << evaluation_table(summary, console.colors, console.glyphs);
  const std::string left_out = left_out_text(summary);
  if (!left_out.empty()) console.out << "\n" << left_out << "\n";
  console.out << "\npairs: " << output << "\n";
}

// Standard output is the table's alone where a program or a document is to take it.
Console progress_console(const EvaluationFlags& flags, const Console& console) {
  if (flags.format == TableFormat::kText) return console;
  return {.out = console.err, .err = console.err, .kind = OutputKind::kPlain, .glyphs = console.glyphs};
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
  if (!flags.quiet) display.emplace(progress_console(flags, console));
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
  if (flags.format != TableFormat::kText) {
    console.out << evaluation_markup(summary, flags.format);
  } else if (!flags.quiet) {
    report(summary, request.output(), console);
  }
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
