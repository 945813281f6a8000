#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include "client/command_line/verb.h"
#include "client/convert/conversion.h"
#include "client/table/display_width.h"
#include "common/base/durable_file.h"
#include "common/config/data_config.h"
#include "common/config/field_check.h"
#include "common/config/job_config.h"
#include "common/config/job_file.h"
#include "common/config/model_config.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

struct ConvertFlags {
  std::vector<std::string> arguments;  // FILE and what follows --
  std::string from, output, model, train, validation;
  int workers = 1;
  bool overwrite = false;
  bool settings = false;
};

const TrainerTable* table_named(const std::string& name) {
  const auto tables = trainer_tables();
  const auto found = std::ranges::find(tables, name, &TrainerTable::name);
  return found == tables.end() ? nullptr : &*found;
}

bool is_part_of_command(const std::string& word) { return word == "trl" || word.starts_with("--"); }

ConversionRequest conversion_request(const ConvertFlags& flags) {
  ConversionRequest request{.model = flags.model,
                            .train = flags.train,
                            .validation = flags.validation,
                            .workers = flags.workers,
                            .job_folder = flags.output.empty() ? fs::path() : fs::absolute(flags.output).parent_path()};
  auto next = flags.arguments.begin();
  if (next != flags.arguments.end() && !is_part_of_command(*next)) request.file = *next++;
  request.flags.assign(next, flags.arguments.end());
  if (!flags.from.empty()) {
    request.trainer = table_named(flags.from)->trainer;
  } else if (!request.file.empty()) {
    GivenSettings given;
    read_given_file(request.file, given);
    request.trainer = guessed_trainer(given);
  }
  if (request.trainer != Trainer::kTrl && !request.flags.empty()) {
    throw std::invalid_argument("what follows -- are flags of TRL, and the configuration is one of " +
                                std::string(trainer_table(request.trainer).title));
  }
  return request;
}

// As `train` will read it: what no setting by itself is to blame for.
std::string fault_of_job(const ConversionRequest& request, v1::JobSpec spec) {
  const fs::path folder = request.job_folder.empty() ? fs::current_path() : request.job_folder;
  if (spec.name().empty()) spec.set_name("job");
  if (spec.has_model()) make_paths_absolute(folder, *spec.mutable_model());
  if (spec.has_data()) make_paths_absolute(folder, *spec.mutable_data());
  spec.set_output(absolute_path(folder, spec.output()));
  try {
    make_job_config(spec);
    return "";
  } catch (const std::invalid_argument& problem) {
    return std::string("the job would be refused: ") + problem.what();
  }
}

// A comment cannot be left by what a file says.
std::string as_comments(const std::vector<std::string>& notes) {
  std::string text;
  for (const std::string& note : notes) text += "# - " + printable(note) + "\n";
  return text;
}

std::string job_text(const ConversionRequest& request, const Conversion& conversion) {
  const std::string source = request.file.empty() ? "its command line" : request.file.filename().string();
  std::string text = "# By `equipoise convert` from " + printable(source) + " of ";
  text += trainer_table(request.trainer).title;
  text += ". What differs:\n" + as_comments(conversion.notes);
  text += "# For groups of people: a field `group` in the data, and robust: {mode: group_robust, step_size: 0.01}\n";
  return text + job_spec_to_yaml(conversion.spec);
}

void write_job(const ConvertFlags& flags, const std::string& text) {
  const fs::path file = fs::absolute(flags.output).lexically_normal();
  if (!flags.overwrite && fs::exists(fs::symlink_status(file))) {
    throw std::invalid_argument("--output: " + file.string() + " exists: choose another name, or --overwrite");
  }
  DurableFile out(file);
  out.write(text);
  out.commit();
}

void convert(const ConvertFlags& flags, const Console& console) {
  if (flags.settings) {
    for (const TrainerTable& table : trainer_tables()) {
      if (flags.from.empty() || table.name == flags.from) console.out << settings_markdown(table) << "\n";
    }
    return;
  }
  const ConversionRequest request = conversion_request(flags);
  Conversion conversion = convert_settings(request);
  if (conversion.faults.empty()) {
    if (const std::string fault = fault_of_job(request, conversion.spec); !fault.empty()) {
      conversion.faults.push_back(fault);
    }
  }
  if (!conversion.faults.empty()) {
    for (const std::string& fault : conversion.faults) console.err << printable(fault) << "\n";
    throw std::invalid_argument("no job was written: see the " + std::to_string(conversion.faults.size()) +
                                (conversion.faults.size() == 1 ? " line" : " lines") + " above");
  }
  const std::string text = job_text(request, conversion);
  if (flags.output.empty()) {
    console.out << text;
    return;
  }
  write_job(flags, text);
  for (const std::string& note : conversion.notes) console.out << printable(note) << "\n";
  console.out << "\njob: " << printable(fs::absolute(flags.output).lexically_normal().string()) << "\n";
}

}  // namespace

void add_convert_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<ConvertFlags>();
  CLI::App* verb = parent.add_subcommand("convert", "Make a job of a configuration of TRL, axolotl or LLaMA-Factory");
  verb->add_option("FILE.yaml", flags->arguments, "The configuration; flags of TRL's command line follow --")
      ->type_name("")
      ->allow_extra_args();
  std::vector<std::string> names;
  for (const TrainerTable& table : trainer_tables()) names.emplace_back(table.name);
  verb->add_option("--from", flags->from, "Whose it is: trl, axolotl or llama-factory (default: by its keys)")
      ->type_name("TRAINER")
      ->check(CLI::IsMember(names));
  verb->add_option("--output", flags->output, "The job file (default: standard output)")->type_name("JOB.yaml");
  verb->add_option("--workers", flags->workers, "Devices: the batch of one is multiplied with them")
      ->type_name("N")
      ->check(CLI::Range(1, kMostWorkers))
      ->capture_default_str();
  verb->add_option("--model", flags->model, "Folder of the model, in place of the configuration's")->type_name("DIR");
  verb->add_option("--train", flags->train, "Training pairs, in place of the configuration's")->type_name("FILE");
  verb->add_option("--validation", flags->validation, "Validation pairs, as --train")->type_name("FILE");
  verb->add_flag("--overwrite", flags->overwrite, "Replace a job file that is there");
  verb->add_flag("--settings", flags->settings, "Print what becomes of every setting instead, as Markdown");
  verb->footer(
      "Every setting is mapped, refused by name, or named with why it has no effect; what differs is in the job's\n"
      "comments. Exit code: 0 done, 2 a setting has no place in a job.\n"
      "\n"
      "  equipoise convert dpo.yaml --output job.yaml --workers 2\n"
      "  equipoise convert -- trl dpo --config dpo.yaml --learning_rate 5e-7\n"
      "  equipoise convert axolotl.yaml --train train.jsonl --output job.yaml");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { convert(*flags, console); }; });
}

}  // namespace equipoise
