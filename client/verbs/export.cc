#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>

#include "client/command_line/job_inputs.h"
#include "client/command_line/verb.h"
#include "client/connection/interrupts.h"
#include "client/connection/private_service.h"
#include "client/connection/watched_program.h"
#include "client/console/console.h"
#include "client/progress/read_progress.h"
#include "common/base/activity_file.h"
#include "common/base/durable_file.h"
#include "common/base/output_lock.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kExportPoll{200};

struct ExportFlags {
  std::string model, adapter, output;
  bool merge = false;
  bool quiet = false;
};

fs::path checked_output(const std::string& flag) {
  fs::path output = fs::absolute(flag).lexically_normal();
  if (output.filename().empty()) output = output.parent_path();
  if (fs::exists(fs::symlink_status(output))) {
    throw std::invalid_argument("--output: " + output.string() + " exists: choose a folder that does not");
  }
  if (!fs::is_directory(output.parent_path())) {
    throw std::invalid_argument("--output: " + output.parent_path().string() + " is no folder: make it, or choose " +
                                "another one");
  }
  return output;
}

void run_merge(const ExportFlags& flags, const DurableFolder& work, const Console& console) {
  JobInbox inbox;
  const Interrupts interrupts([&inbox](int signal) { inbox.interrupt(signal); });
  const fs::path worker = program_folder() / "equipoise-worker";
  WatchedProgram program({.command = {worker.string(), "merge", "--model", fs::absolute(flags.model).string(),
                                      "--adapter", fs::absolute(flags.adapter).string(), "--output",
                                      (work / "merged").string(), "--activity", (work / "activity").string()},
                          .environment = {},
                          .stdout_file = work / "stdout.log",
                          .stderr_file = work / "stderr.log"},
                         inbox);
  PartProgress progress(console, "export", std::chrono::steady_clock::now());
  while (!inbox.wait(kExportPoll).ended) {
    if (inbox.interrupted()) program.signal(SIGKILL);
    if (flags.quiet) continue;
    if (const auto activity = read_activity(work / "activity")) {
      progress.show(activity->name, static_cast<double>(activity->percent) / 100, std::chrono::steady_clock::now());
    }
  }
  if (inbox.interrupted()) throw CommandError(ExitCode::kInterrupted, "interrupted");
  check_end(program.exit_code(), work / "stderr.log", "equipoise-worker", "equipoise-worker");
}

void export_model(const ExportFlags& flags, const Console& console) {
  check_model_folder("--model", flags.model);
  check_adapter_folder("--adapter", flags.adapter);
  const fs::path output = checked_output(flags.output);
  const OutputLock lock = OutputLock::beside({.field = "--output", .path = output}, {.program = "equipoise export"});
  DurableFolder work(output);  // the merged model is a folder in it, beside the worker's logs
  run_merge(flags, work, console);
  std::ifstream said(work / "stdout.log");
  work.commit("merged");
  if (flags.quiet) return;
  console.out << std::string{std::istreambuf_iterator<char>(said), {}} << "\nmodel: " << output.string() << "\n";
}

}  // namespace

void add_export_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* verb = parent.add_subcommand("export", "Make one model of a model and its LoRA adapter");
  verb->add_option("--model", flags->model, "Hugging Face folder of the model")->type_name("DIR")->required();
  verb->add_option("--adapter", flags->adapter, "Of its adapter, in PEFT's format")->type_name("DIR")->required();
  verb->add_flag("--merge", flags->merge, "Add the adapter to the model's weights; the one way to export")->required();
  verb->add_option("--output", flags->output, "New folder of the merged model")->type_name("DIR")->required();
  verb->add_flag("--quiet", flags->quiet, "Say nothing unless something fails");
  verb->footer(
      "Compares the logits of the merged model with those of model and adapter on random tokens, and refuses a\n"
      "difference that rounding does not explain. Ctrl-C leaves nothing behind.\n"
      "Exit code: 0 done, 2 the input is not right, 1 anything else failed, 130 interrupted.\n"
      "\n"
      "  equipoise export --model models/sft --adapter runs/lora/final --merge --output models/merged");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { export_model(*flags, console); }; });
}

}  // namespace equipoise
