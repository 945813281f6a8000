// Settings of a job that are changed while it runs.
#include <charconv>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/verbs/message_result.h"
#include "common/base/message_text.h"
#include "common/protocol/live_settings.h"

namespace equipoise {
namespace {

struct SetFlags {
  CoordinatorFlags coordinator;
  std::string id;
  std::string etag;
  std::vector<std::string> settings;
  ResultFlags result;
};

template <typename Number>
Number parsed_number(const std::string& name, const std::string& text, const char* wanted) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  throw std::invalid_argument(name + " is " + quoted_text(text) + ", expected " + wanted);
}

void set_field(const std::string& name, const std::string& text, v1::TrainingJobSettings& settings) {
  if (name == "trade_off") return settings.set_trade_off(parsed_number<double>(name, text, "a number"));
  if (name == "step_size") return settings.set_step_size(parsed_number<double>(name, text, "a number"));
  if (name == "learning_rate") return settings.set_learning_rate(parsed_number<double>(name, text, "a number"));
  if (name == "max_steps") return settings.set_max_steps(parsed_number<std::int64_t>(name, text, "a whole number"));
  if (name == "priority") return settings.set_priority(parsed_number<std::int32_t>(name, text, "a whole number"));
  throw std::invalid_argument(name +
                              " is no setting of a running job, expected trade_off, step_size, learning_rate, "
                              "max_steps or priority; `jobs fork` makes a new job with others");
}

// KEY=VALUE, the key with or without its section.
v1::TrainingJobSettings settings_of(const std::vector<std::string>& texts) {
  v1::TrainingJobSettings settings;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) throw std::invalid_argument(quoted_text(text) + ", expected KEY=VALUE");
    const std::string key = text.substr(0, equals);
    const std::size_t point = key.rfind('.');
    set_field(point == std::string::npos ? key : key.substr(point + 1), text.substr(equals + 1), settings);
  }
  return settings;
}

std::string settings_sentences(const v1::TrainingJobSettings& asked, const v1::TrainingJob& job) {
  v1::TrainingJobSettings of_steps = asked;
  of_steps.clear_priority();
  std::string text;
  if (asked.has_priority()) text += job.id() + ": priority " + std::to_string(job.priority()) + "\n";
  const std::string settings = settings_text(of_steps);
  if (settings.empty()) return text;
  return text + job.id() + ": " + settings + ": in force from the end of a step on; `jobs get` says of which\n";
}

void set_settings(const SetFlags& flags, const Console& console) {
  v1::UpdateTrainingJobRequest request;
  request.set_id(flags.id);
  request.set_etag(flags.etag);
  *request.mutable_settings() = settings_of(flags.settings);
  Connection connection = flags.coordinator.connect();
  const v1::TrainingJob job = connection.update_job(request);
  flags.result.print(job_result(job, [&] { return settings_sentences(request.settings(), job); }), console);
}

}  // namespace

void add_jobs_set_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<SetFlags>();
  CLI::App* verb = parent.add_subcommand("set", "Change settings of a job while it runs");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  verb->add_option("KEY=VALUE", flags->settings, "trade_off, step_size, learning_rate, max_steps, priority")
      ->type_name("")
      ->required();
  flags->coordinator.add_to(*verb);
  add_etag_flag(*verb, flags->etag);
  flags->result.add_to(*verb, {ResultFormat::kName});
  verb->footer(
      "They hold from the end of a step on, on all ranks alike, and again where steps are done again after a fault.");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { set_settings(*flags, console); }; });
}

}  // namespace equipoise
