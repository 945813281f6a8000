#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "client/command_line/result_output.h"
#include "client/command_line/verb.h"
#include "client/connection/interruptible_work.h"
#include "client/table/display_width.h"
#include "client/table/json_document.h"
#include "common/ledger/ledger_record.h"
#include "common/metrics/metrics_schema.h"
#include "common/summary/run_files.h"

namespace equipoise {
namespace {

struct ReportFlags {
  std::filesystem::path run, into;
  bool replaces_card = false;
  ResultFlags result;
};

// Of what is read; 0 where it is not there.
std::int64_t bytes_to_read(const std::filesystem::path& run) {
  std::int64_t bytes = 0;
  for (const std::string_view name : {metrics_schema::kFileName, std::string_view(kLedgerName)}) {
    std::error_code error;
    const auto size = std::filesystem::file_size(run / name, error);
    if (!error) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

void write_report(const ReportFlags& flags, const Console& console) {
  RunFiles files;
  {
    InterruptibleRead reading(flags.result.progress_console(console), "report", bytes_to_read(flags.run));
    files = write_run_files({.run = flags.run,
                             .into = flags.into,
                             .existing_card = flags.replaces_card ? ExistingCard::kReplaced : ExistingCard::kKept,
                             .on_bytes = reading.on_bytes()});
  }
  const auto text = [&] {
    std::string lines;
    for (const std::filesystem::path& file : files.written) lines += printable(file.string()) + "\n";
    return files.note.empty() ? lines : lines + printable(files.note) + "\n";
  };
  const auto json = [&] {
    nlohmann::ordered_json result = {{"written", nlohmann::ordered_json::array()}};
    for (const std::filesystem::path& file : files.written) result["written"].push_back(file.string());
    if (!files.note.empty()) result["note"] = files.note;
    return json_document(result);
  };
  flags.result.print({.text = text, .json = json}, console);
}

}  // namespace

void add_report_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<ReportFlags>();
  CLI::App* verb =
      parent.add_subcommand("report", "Write a run's report.html, trainer_state.json and model card once more");
  verb->add_option("RUN", flags->run, "Folder of the run: its job's `output`")->type_name("")->required();
  verb->add_option("--into", flags->into, "Put all three into this folder, which is there, in place of the run's")
      ->type_name("FOLDER");
  verb->add_flag("--replace-card", flags->replaces_card, "Write final/README.md anew though it is there");
  flags->result.add_to(*verb);
  verb->footer(
      "A run writes them when it ends. This gives them to one that was ended early, or by an earlier version, and\n"
      "shows how far one that still runs has come.\n"
      "\n"
      "  equipoise report runs/gr-dpo");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { write_report(*flags, console); }; });
}

}  // namespace equipoise
