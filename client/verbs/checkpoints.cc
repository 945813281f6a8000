#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "client/command_line/result_output.h"
#include "client/command_line/verb.h"
#include "client/connection/interruptible_work.h"
#include "client/report/checkpoint_table.h"
#include "client/table/display_width.h"
#include "client/table/json_document.h"
#include "client/table/number_format.h"
#include "common/base/message_text.h"
#include "common/base/output_lock.h"
#include "common/base/path_check.h"
#include "common/checkpoint/checkpoint_folder.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWhatAnOutputIs = "Folder of the run: its job's `output`";

// The folder of a run without a slash at its end. Throws std::invalid_argument where it is none.
fs::path folder_of_run(const fs::path& given) {
  std::error_code ignored;
  if (!fs::exists(given, ignored)) throw std::invalid_argument("OUTPUT: " + given.string() + " does not exist");
  if (!fs::is_directory(given, ignored)) throw std::invalid_argument("OUTPUT: " + given.string() + " is not a folder");
  const fs::path folder = given.has_filename() ? given : given.parent_path();
  const fs::path name = fs::absolute(folder).lexically_normal();
  const bool is_checkpoint = step_of_checkpoint(name) >= 0 && entry_exists(folder / kManifestName);
  const fs::path inner = is_checkpoint ? name.parent_path() : name;
  const fs::path run = inner.parent_path();
  if (inner == checkpoints_folder(run) && !list_checkpoints(run).empty() && list_checkpoints(name).empty()) {
    throw std::invalid_argument("OUTPUT: " + given.string() + " is inside of a run's folder: name " + run.string());
  }
  return folder;
}

std::string damaged_text(std::size_t damaged, std::size_t all) {
  return std::to_string(damaged) + " of " + counted(static_cast<std::int64_t>(all), "checkpoint") +
         (damaged == 1 ? " is damaged" : " are damaged");
}

std::string none_text(const fs::path& output) { return "no checkpoints in " + output.string(); }

struct CheckpointListFlags {
  fs::path output;
  ResultFlags result;
};

void list_run(const CheckpointListFlags& flags, const Console& console) {
  const fs::path output = folder_of_run(flags.output);
  const std::vector<DescribedCheckpoint> checkpoints = describe_checkpoints(output);
  const auto text = [&] {
    if (checkpoints.empty()) return none_text(output) + "\n";
    return checkpoint_table(checkpoints, console.colors, console.glyphs, flags.result.detail());
  };
  const auto folders = [&] {
    std::vector<std::string> names;
    for (const DescribedCheckpoint& one : checkpoints) names.push_back(printable(one.folder.string()));
    return names;
  };
  flags.result.print({.text = text, .json = [&] { return checkpoint_json(output, checkpoints); }, .names = folders},
                     console);
  const auto damaged = std::ranges::count_if(checkpoints, [](const auto& one) { return !one.fault.empty(); });
  if (damaged > 0) {
    throw CommandError(ExitCode::kFailure, damaged_text(static_cast<std::size_t>(damaged), checkpoints.size()));
  }
}

void add_list_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<CheckpointListFlags>();
  CLI::App* verb = parent.add_subcommand("list", "A run's checkpoints, newest first");
  verb->add_option("OUTPUT", flags->output, kWhatAnOutputIs)->type_name("")->required();
  flags->result.add_to(*verb, {ResultFormat::kName});
  verb->footer(
      "Reads the manifests alone; `verify` reads all bytes.\n"
      "Exit code: 0 done, 1 a manifest is damaged, 2 there is no such folder.");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { list_run(*flags, console); }; });
}

struct VerifyFlags {
  std::vector<std::string> folders;
  ResultFlags result;
};

struct VerifiedCheckpoint {
  DescribedCheckpoint checkpoint;
  std::string prefix;  // which run or folder, where there are several
};

// Those of each run, and single ones. People are told of a run that has none.
std::vector<VerifiedCheckpoint> chosen_checkpoints(const VerifyFlags& flags, const Console& console) {
  std::vector<VerifiedCheckpoint> chosen;
  for (const std::string& name : flags.folders) {
    const fs::path given(name);
    const std::string prefix = flags.folders.size() > 1 ? given.string() + ": " : "";
    const fs::path folder = given.has_filename() ? given : given.parent_path();
    if (entry_exists(folder / kManifestName) || (step_of_checkpoint(folder) >= 0 && fs::is_directory(folder))) {
      chosen.push_back({.checkpoint = describe_checkpoint(folder), .prefix = prefix});
      continue;
    }
    const std::vector<DescribedCheckpoint> of_run = describe_checkpoints(folder_of_run(folder));
    if (of_run.empty() && flags.result.is_for_people()) console.out << none_text(folder) << std::endl;
    for (const DescribedCheckpoint& checkpoint : of_run) chosen.push_back({.checkpoint = checkpoint, .prefix = prefix});
  }
  return chosen;
}

std::int64_t bytes_of(const std::vector<VerifiedCheckpoint>& chosen) {
  std::int64_t bytes = 0;
  for (const VerifiedCheckpoint& one : chosen) bytes += one.checkpoint.manifest ? one.checkpoint.manifest->bytes() : 0;
  return bytes;
}

std::string whole_text(const CheckpointManifest& manifest) {
  const std::size_t files = manifest.files.size();
  return "whole, " + counted(files, "file") + ", " + size_text(manifest.bytes());
}

CheckpointJson verified_json(const DescribedCheckpoint& checkpoint, const std::string& fault) {
  CheckpointJson value = {
      {"step", checkpoint.step}, {"folder", checkpoint.folder.string()}, {"whole", fault.empty()}, {"fault", fault}};
  if (checkpoint.manifest) {
    value["files"] = checkpoint.manifest->files.size();
    value["bytes"] = checkpoint.manifest->bytes();
  }
  return value;
}

void verify_runs(const VerifyFlags& flags, const Console& console) {
  const std::vector<VerifiedCheckpoint> chosen = chosen_checkpoints(flags, console);
  InterruptibleRead reading(flags.result.progress_console(console), "verify", bytes_of(chosen));
  const auto on_bytes = reading.on_bytes();
  std::size_t damaged = 0;
  CheckpointJson list = CheckpointJson::array();
  for (const auto& [checkpoint, prefix] : chosen) {
    std::string fault = checkpoint.fault;
    if (checkpoint.manifest) {
      fault = fault_in_folder(checkpoint.folder, fault_of_files(checkpoint.folder, *checkpoint.manifest, on_bytes));
    }
    if (!fault.empty() && !entry_exists(checkpoint.folder)) continue;  // its run has removed it meanwhile
    if (!fault.empty()) ++damaged;
    const std::string result = fault.empty() ? whole_text(*checkpoint.manifest) : printable(fault);
    list.push_back(verified_json(checkpoint, fault));
    if (flags.result.is_for_people()) reading.note(prefix + checkpoint_name(checkpoint) + ": " + result);
  }
  // People were told of each as it was read.
  const CheckpointJson all = {{"checkpoints", std::move(list)}, {"damaged", damaged}};
  flags.result.print({.text = [] { return std::string(); }, .json = [&all] { return json_document(all); }}, console);
  if (damaged > 0) throw CommandError(ExitCode::kFailure, damaged_text(damaged, chosen.size()));
}

void add_verify_checkpoints_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<VerifyFlags>();
  CLI::App* verb = parent.add_subcommand("verify", "Read every byte and compare it with what was written");
  verb->add_option("OUTPUT", flags->folders, "Folders of runs, or of single checkpoints")->type_name("")->required();
  flags->result.add_to(*verb);
  verb->footer(
      "A line for each checkpoint. Files are compared by their SHA-256, as they are before a run goes on from them.\n"
      "Exit code: 0 all are whole, 1 one is damaged, 2 there is no such folder, 130 interrupted.\n"
      "\n"
      "  equipoise checkpoints verify runs/dpo runs/gr-dpo/checkpoints/step-120");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { verify_runs(*flags, console); }; });
}

struct PruneFlags {
  fs::path output;
  int keep = 0;
  bool dry_run = false;
  ResultFlags result;
};

std::int64_t bytes_on_disk(const fs::path& folder) {
  std::int64_t bytes = 0;
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(folder, ignored)) {
    if (!entry.is_regular_file(ignored)) continue;
    const std::uintmax_t size = entry.file_size(ignored);
    if (size != std::numeric_limits<std::uintmax_t>::max()) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

struct PrunedJson {
  CheckpointJson removed = CheckpointJson::array();
  std::size_t stay = 0;
  std::int64_t freed = 0;
};

void print_pruned(const PrunedJson& pruned, const std::function<std::string()>& text, const PruneFlags& flags,
                  const Console& console) {
  const auto json = [&] {
    return json_document({{"dry_run", flags.dry_run},
                          {"removed", pruned.removed},
                          {"freed_bytes", pruned.freed},
                          {"checkpoints_left", pruned.stay}});
  };
  flags.result.print({.text = text, .json = json}, console);
}

void prune_planned(const fs::path& output, const PruneFlags& flags, const Console& console) {
  const PrunePlan plan = plan_pruning(output, flags.keep);
  std::int64_t freed = 0;
  std::string lines;
  CheckpointJson removed = CheckpointJson::array();
  const auto add = [&](const std::string& what, const fs::path& folder) {
    const std::int64_t bytes = bytes_on_disk(folder);
    freed += bytes;
    removed.push_back({{"folder", folder.string()}, {"bytes", bytes}});
    lines += (flags.dry_run ? "would remove " : "removed ") + what + ": " + size_text(bytes) + "\n";
  };
  for (const CheckpointEntry& entry : plan.checkpoints) add("step " + std::to_string(entry.step), entry.folder);
  for (const fs::path& leftover : plan.leftovers)
    add(printable(leftover.filename().string()) + ", no checkpoint", leftover);
  if (!flags.dry_run) remove_planned(output, plan);
  const std::size_t stay = list_checkpoints(output).size() - (flags.dry_run ? plan.checkpoints.size() : 0);
  const auto text = [&] {
    return lines + counted(static_cast<std::int64_t>(stay), "checkpoint") + " " +
           (flags.dry_run ? "would stay, "
            : stay == 1   ? "stays, "
                          : "stay, ") +
           size_text(freed) + (flags.dry_run ? " would be freed\n" : " freed\n");
  };
  print_pruned({.removed = std::move(removed), .stay = stay, .freed = freed}, text, flags, console);
}

void prune_run(const PruneFlags& flags, const Console& console) {
  const fs::path output = folder_of_run(flags.output);
  if (list_checkpoints(output).empty()) {
    return print_pruned(
        {}, [&output] { return none_text(output) + "\n"; }, flags, console);
  }
  const OutputPlace place{.field = "OUTPUT", .path = output};
  if (flags.dry_run) {
    OutputLock::check_free(place);
    return prune_planned(output, flags, console);
  }
  const OutputLock lock = OutputLock::of_folder(place, {.program = "equipoise checkpoints prune"});
  prune_planned(output, flags, console);
}

void add_prune_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<PruneFlags>();
  CLI::App* verb = parent.add_subcommand("prune", "Remove all but the newest checkpoints of a run that has ended");
  verb->add_option("OUTPUT", flags->output, kWhatAnOutputIs)->type_name("")->required();
  verb->add_option("--keep", flags->keep, "How many of the newest stay")
      ->type_name("N")
      ->check(CLI::Range(1, std::numeric_limits<int>::max()))
      ->required();
  verb->add_flag("--dry-run", flags->dry_run, "Say what would be removed, and remove nothing");
  flags->result.add_to(*verb);
  verb->footer(
      "One that is whole stays in any case. What was left half written goes too. Refused while a run has the folder.\n"
      "Exit code: 0 done, 1 something cannot be removed, 2 there is no such folder, or it is in use.\n"
      "\n"
      "  equipoise checkpoints prune runs/gr-dpo --keep 1");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { prune_run(*flags, console); }; });
}

}  // namespace

void add_checkpoints_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("checkpoints", "Look at the checkpoints of a run, or remove some");
  verb->require_subcommand(1);
  for (const auto add : {add_list_verb, add_verify_checkpoints_verb, add_prune_verb}) add(*verb, chosen);
}

}  // namespace equipoise
