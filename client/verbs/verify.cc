#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "client/command_line/result_output.h"
#include "client/command_line/verb.h"
#include "client/connection/interruptible_work.h"
#include "client/connection/private_folder.h"
#include "client/report/state_color.h"
#include "client/table/display_width.h"
#include "client/table/json_document.h"
#include "client/table/text_table.h"
#include "client/verify/run_audit.h"
#include "client/verify/window.h"
#include "client/verify/window_plan.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

struct ReceiptFlags {
  fs::path run;
  std::string steps;
  std::string chain;
  bool quiet = false;
  ResultFlags result;
};

RunAudit audited(const ReceiptFlags& flags, const Console& console) {
  AuditSettings settings;
  if (!flags.chain.empty()) {
    settings.chain = digest_of_hex(flags.chain);
    if (!settings.chain) throw std::invalid_argument("--chain is not 64 hexadecimal digits in lower case");
  }
  InterruptibleRead reading(flags.result.progress_console(console), "verify", audited_bytes(flags.run));
  settings.on_bytes = reading.on_bytes();
  return audit_run(flags.run, settings);
}

std::string audit_table(const RunAudit& audit, const Console& console) {
  TextTable table({{"check"}, {"", Align::kLeft, "", verdict_color}, {"result"}});
  for (const AuditLine& line : audit.lines) {
    table.add_row({line.what, line.is_fault ? "WRONG" : "ok", printable(line.result)},
                  line.is_fault ? RowStyle::kMarked : RowStyle::kNormal);
  }
  return table.text(console.colors, console.glyphs);
}

std::string audit_json(const RunAudit& audit, const fs::path& run) {
  nlohmann::ordered_json checks = nlohmann::ordered_json::array();
  for (const AuditLine& line : audit.lines) {
    checks.push_back({{"check", line.what}, {"ok", !line.is_fault}, {"result", line.result}});
  }
  return json_document({{"run", run.string()},
                        {"ok", audit.faults() == 0},
                        {"steps_done", audit.steps_done},
                        {"checks", std::move(checks)}});
}

void verify_run(const ReceiptFlags& flags, const Console& console) {
  std::optional<StepWindow> window;
  if (!flags.steps.empty()) window = step_window(flags.steps);
  RunAudit audit = audited(flags, console);
  if (window && audit.faults() == 0) {
    const PrivateFolder folder;
    const WindowPlan plan = plan_window(audit, *window, folder.path());
    const auto display = flags.quiet ? make_silent_display() : make_display(flags.result.progress_console(console));
    train_window(plan, *display);
    audit.lines.push_back(compare_window(audit, flags.run, plan));
  }
  if (!flags.quiet || !flags.result.is_for_people()) {
    flags.result.print(
        {.text = [&] { return audit_table(audit, console); }, .json = [&] { return audit_json(audit, flags.run); }},
        console);
  }
  if (audit.faults() == 0) return;
  for (const AuditLine& line : audit.lines) {
    if (line.is_fault) throw CommandError(ExitCode::kFailure, line.what + ": " + line.result);
  }
}

}  // namespace

void add_verify_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<ReceiptFlags>();
  CLI::App* verb = parent.add_subcommand("verify", "Check a run against its ledger, and train steps of it again");
  verb->add_option("RUN", flags->run, "Folder of the run: its job's `output`")->type_name("")->required();
  verb->add_option("--steps", flags->steps, "Train these again on this machine's CPUs and compare every bit")
      ->type_name("FIRST-LAST");
  verb->add_option("--chain", flags->chain, "What the ledger has to end with, as `jobs get` and receipt.json say it")
      ->type_name("SHA256");
  verb->add_flag("--quiet", flags->quiet, "Say nothing unless something is wrong");
  flags->result.add_to(*verb);
  verb->footer(
      "The ledger's chain, the group weights of every step from its sums, job.yaml, metrics.jsonl, the checkpoints "
      "and\n"
      "final/ are compared with what was recorded while the run went on.\n"
      "Exit code: 0 all is as recorded, 1 something is not, 2 the input is not right, or these steps cannot be "
      "trained\n"
      "again here, 130 interrupted.\n"
      "\n"
      "  equipoise verify runs/gr-dpo --steps 100-120");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { verify_run(*flags, console); }; });
}

}  // namespace equipoise
