#include "client/command_line/run_command.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "client/command_line/verb.h"
#include "client/connection/connection.h"
#include "client/table/display_width.h"
#include "common/base/environment.h"
#include "common/base/message_text.h"
#include "common/base/nearest_name.h"
#include "common/config/foreign_names.h"
#include "common/config/message_schema.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {
namespace {

constexpr const char* kFooter =
    "Start here:\n"
    "  equipoise data generate survey.jsonl                a survey of a made-up country, to try things with\n"
    "  equipoise data import opinionqa survey.jsonl --output data\n"
    "  equipoise model init model --data data/train.jsonl  a small Gemma with random weights\n"
    "  equipoise train job.yaml --np 2                     trains it on two processes of this machine\n"
    "  equipoise compare runs/dpo runs/gr-dpo              who is worst off, before and after\n"
    "\n"
    "`equipoise VERB --help` says more about a verb.";

std::unique_ptr<CLI::App> make_app(Action& chosen, std::span<const AddVerb> further) {
  auto app = std::make_unique<CLI::App>(
      "Trains language models on people's preferences so that no group is left behind.", "equipoise");
  app->require_subcommand(1);
  app->set_version_flag("--version", version_text(), "Print what this is and exit");
  app->get_formatter()->label("SUBCOMMAND", "VERB");
  app->get_formatter()->label("Subcommands", "Verbs");
  for (const auto add :
       {add_train_verb, add_submit_verb, add_jobs_verb, add_hosts_verb, add_checkpoints_verb, add_evaluate_verb,
        add_export_verb, add_compare_verb, add_verify_verb, add_explain_verb, add_report_verb, add_convert_verb,
        add_data_verb, add_model_verb, add_token_verb, add_doctor_verb, add_completion_verb}) {
    add(*app, chosen);
  }
  for (const AddVerb add : further) add(*app, chosen);
  add_version_verb(*app, chosen);
  // Last: verbs that are added later would have it too.
  app->footer(kFooter);
  return app;
}

// The verb that was reached before reading stopped, and its full name.
struct Reached {
  const CLI::App* app;
  std::string name;
};

Reached reached_verb(const CLI::App& root) {
  Reached reached{&root, root.get_name()};
  while (true) {
    const std::vector<CLI::App*> chosen = reached.app->get_subcommands();
    if (chosen.empty()) return reached;
    reached = {chosen.front(), reached.name + " " + chosen.front()->get_name()};
  }
}

std::vector<std::string> known_verbs(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands(nullptr)) names.push_back(verb->get_name());
  return names;
}

std::vector<std::string> known_flags(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// Empty where none is like `flag`; the dashes, which all have, do not count.
std::string similar_flag(const CLI::App& app, std::string_view flag) {
  std::vector<std::string> names;
  for (const std::string& known : known_flags(app)) names.push_back(known.substr(2));
  const std::string name = similar_name(flag.substr(std::min(flag.find_first_not_of('-'), flag.size())), names);
  return name.empty() ? "" : "--" + name;
}

std::string choice_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return printable(text.substr(0, text.find_last_not_of(' ') + 1));
}

// A setting of a job that was given as an option of a verb that takes jobs.
std::optional<std::string> setting_advice(const CLI::App& app, std::string_view option) {
  const std::vector<std::string> flags = known_flags(app);
  const bool takes_jobs =
      std::ranges::find(flags, "--set") != flags.end() && std::ranges::find(flags, "--overwrite") != flags.end();
  if (!takes_jobs || !option.starts_with("--")) return std::nullopt;
  const std::string_view name = option.substr(2, option.find('=') - 2);
  const auto& job = *v1::JobSpec::descriptor();
  if (is_known_elsewhere(job, name)) {
    return ", a setting of the job is --set " + nearest_key(job, job, name) + "=VALUE";
  }
  const auto advice = advice_for_key(name);
  if (!advice) return std::nullopt;
  return (advice->starts_with("expected") ? ", as a setting of the job " : ": ") + *advice;
}

std::string usage_error(const Reached& reached, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = reached.app->remaining(true);
  const std::vector<std::string> verbs = known_verbs(*reached.app);
  if (!unknown.empty()) {
    const std::string& word = unknown.front();
    if (word.size() > 1 && word.front() == '-') {
      if (const auto advice = setting_advice(*reached.app, word)) {
        return "unknown option " + quoted_text(word) + *advice;
      }
      const std::string similar = similar_flag(*reached.app, word.substr(0, word.find('=')));
      return "unknown option " + quoted_text(word) +
             (similar.empty() ? "; see " + reached.name + " --help" : ", the nearest known one is " + similar);
    }
    if (!verbs.empty()) {
      const std::string similar = similar_name(word, verbs);
      const std::string there = choice_of(verbs);
      return "unknown verb " + quoted_text(word) +
             (similar.empty() ? ", expected one of: " + there
                              : ", the nearest known one is \"" + similar + "\" (there are: " + there + ")");
    }
    return "does not know what to do with " + quoted_text(word) + "; see " + reached.name + " --help";
  }
  if (!verbs.empty()) return "a verb is missing, expected one of: " + choice_of(verbs);
  return one_line(error.what()) + "; see " + reached.name + " --help";
}

// An option that was given without a value, as by --output "$UNSET", would count as not given, or as this folder.
// Levels of group names alone are off by an empty text.
std::string empty_argument(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    const std::vector<std::string>& given = option->results();
    const bool is_empty = option->count() > 0 && std::ranges::find(given, "") != given.end();
    if (!is_empty || option->get_items_expected_max() == 0 || option->check_lname("group-separator")) continue;
    return option->get_name() + " is empty, expected a value";
  }
  return "";
}

// Whether a path that the user gave is at fault, not the disk or the system.
bool is_fault_of_path(const std::error_code& fault) {
  for (const std::errc cause :
       {std::errc::invalid_argument, std::errc::filename_too_long, std::errc::too_many_symbolic_link_levels,
        std::errc::not_a_directory, std::errc::is_a_directory, std::errc::no_such_file_or_directory,
        std::errc::file_exists, std::errc::permission_denied, std::errc::operation_not_permitted}) {
    if (fault == cause) return true;
  }
  return false;
}

ExitCode fail(const Console& console, const std::string& who, const std::string& what, ExitCode code) {
  console.out << std::flush;
  console.err << who << ": " << one_line(what) << std::endl;
  return code;
}

ExitCode act(const Action& action, const std::string& name, const Console& console) {
  try {
    action(console);
    console.out << std::flush;
    return console.out ? ExitCode::kSuccess : fail(console, name, "the output cannot be written", ExitCode::kFailure);
  } catch (const CommandError& error) {
    return fail(console, name, error.what(), error.code());
  } catch (const std::invalid_argument& error) {
    return fail(console, name, error.what(), ExitCode::kBadInput);
  } catch (const CoordinatorUnreachable& error) {
    return fail(console, name, error.what(), ExitCode::kBadInput);
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(console, name, error.path1().string() + ": " + error.code().message(),
                is_fault_of_path(error.code()) ? ExitCode::kBadInput : ExitCode::kFailure);
  } catch (const std::exception& error) {
    return fail(console, name, error.what(), ExitCode::kFailure);
  }
}

}  // namespace

ExitCode run_command(std::vector<std::string> arguments, const Console& console, std::span<const AddVerb> further) {
  Action chosen;
  const std::unique_ptr<CLI::App> app = make_app(chosen, further);
  // The parser wants the last argument first.
  std::reverse(arguments.begin(), arguments.end());
  try {
    app->parse(arguments);
  } catch (const CLI::CallForHelp&) {
    console.out << app->help();
    return ExitCode::kSuccess;
  } catch (const CLI::CallForVersion& version) {
    console.out << version.what() << "\n";
    return ExitCode::kSuccess;
  } catch (const CLI::ParseError& error) {
    const Reached reached = reached_verb(*app);
    return fail(console, reached.name, usage_error(reached, error), ExitCode::kBadInput);
  }
  const Reached reached = reached_verb(*app);
  if (const std::string what = empty_argument(*reached.app); !what.empty()) {
    return fail(console, reached.name, what, ExitCode::kBadInput);
  }
  for (const std::string& unknown : unknown_variables()) console.err << "equipoise: warning: " << unknown << std::endl;
  return act(chosen, reached.name, console);
}

}  // namespace equipoise
