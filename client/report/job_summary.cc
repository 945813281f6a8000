#include "client/report/job_summary.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "client/progress/progress_line.h"
#include "client/report/group_tables.h"
#include "client/report/metrics_reader.h"
#include "client/report/state_color.h"
#include "client/table/display_width.h"
#include "client/table/number_format.h"
#include "client/table/text_table.h"
#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/base/sha256.h"
#include "common/protocol/job_state.h"
#include "common/protocol/live_settings.h"
#include "common/protocol/rank_phase.h"

namespace equipoise {

std::string local_time(const google::protobuf::Timestamp& time) {
  const std::time_t seconds = static_cast<std::time_t>(time.seconds());
  std::tm parts{};
  char buffer[32];
  if (localtime_r(&seconds, &parts) == nullptr) return "";
  return std::string(buffer, std::strftime(buffer, sizeof buffer, "%Y-%m-%d %H:%M:%S", &parts));
}

namespace {

constexpr std::size_t kLongestGroupInList = 30;

std::string steps_text(const v1::TrainingJob& job) {
  if (job.total_steps() == 0) return "";
  const ProgressView view = progress_view(job);
  return std::to_string(job.step()) + "/" + std::to_string(job.total_steps()) + " (" +
         std::to_string(percent_done(view)) + " %)";
}

// "Old Harbor 0.4775 in validation, weight 0.553".
std::string worst_text(const v1::TrainingJob& job, std::size_t columns) {
  const auto worst = worst_group(job, LossOf::kNewest);
  if (!worst) return "";
  return shorten(worst->name, columns) + " " + loss_text(worst->loss) +
         (worst->is_of_validation ? " in validation" : " in the batch") + ", weight " + share_text(worst->weight);
}

std::string short_worst_text(const v1::TrainingJob& job) {
  constexpr std::size_t kColumns = 16;
  const auto worst = worst_group(job, LossOf::kNewest);
  if (!worst) return "";
  return shorten(worst->name, kColumns) + " " + loss_text(worst->loss) + (worst->is_of_validation ? " val." : " batch");
}

// What ranks have not made yet.
std::string requests_text(const v1::OpenRequests& open) {
  std::string text = open.has_checkpoint_step() ? "a checkpoint" : "";
  if (open.has_evaluation_step()) text += text.empty() ? "an evaluation" : " and an evaluation";
  return text;
}

// "3, restarted 2 times".
std::string attempt_text(const v1::TrainingJob& job) {
  if (job.generation() == 0) return "";
  const std::string restarts = restarts_text(job.restarts());
  return std::to_string(job.generation()) + (restarts.empty() ? "" : ", " + restarts);
}

// Of a job that does not train at the moment, and will.
std::string interruption_of(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_RECOVERING:
      return "recovering";
    case v1::JOB_STATE_PAUSING:
      return "pausing";
    case v1::JOB_STATE_PAUSED:
      return "paused";
    default:
      return "";
  }
}

// "attempt 2, 2026-11-30 12:00:00: rank 1 on node2, signal 9, training after step 41, last collective broadcast; why".
std::string failure_text(const v1::AttemptFailure& failure) {
  std::string text = "attempt " + std::to_string(failure.generation()) + ", " + local_time(failure.time()) + ": ";
  if (failure.has_rank()) {
    text += "rank " + std::to_string(failure.rank());
    if (!failure.host().empty()) text += " on " + failure.host();
    text += ", ";
  }
  if (failure.has_signal()) text += "signal " + std::to_string(failure.signal()) + ", ";
  if (failure.has_exit_code()) text += "exit code " + std::to_string(failure.exit_code()) + ", ";
  if (failure.phase() != v1::RANK_PHASE_UNSPECIFIED) text += phase_name(failure.phase()) + " ";
  text += "after step " + std::to_string(failure.step());
  if (!failure.last_collective().empty()) text += ", last collective " + failure.last_collective();
  return text + "; " + failure.reason();
}

using Property = std::pair<std::string, std::string>;

// Whether the job has a later change of these settings from the same step on: these never held.
bool is_replaced_at_once(const v1::SettingsChange& change, const SettingsChanges& changes) {
  const std::vector<StartedSetting> started = started_settings(changes, change.effective_step());
  return std::ranges::none_of(started, [&](const StartedSetting& one) { return one.change == &change; });
}

std::string change_text(const v1::SettingsChange& change, const SettingsChanges& changes) {
  const std::string settings = settings_text(change.settings());
  if (!change.has_effective_step()) return settings + ", not in force yet";
  const std::string step = std::to_string(change.effective_step());
  if (is_replaced_at_once(change, changes)) return settings + ", replaced by a later change from step " + step + " on";
  return settings + " from step " + step + " on";
}

std::vector<Property> properties(const v1::TrainingJob& job) {
  const ProgressView view = progress_view(job);
  std::vector<Property> list = {
      {"id", job.id()},
      {"state", state_name(job.state())},
      {"because", job.state_reason()},
      {"priority", job.priority() != 0 ? std::to_string(job.priority()) : ""},
      {"phase", job.phase()},
      {"steps", steps_text(job)},
      {"time left", view.time_left ? duration_text(*view.time_left) : ""},
      {"skipped", job.skipped_steps() > 0 ? counted(job.skipped_steps(), "step") : ""},
      {"speed", view.pairs_per_second ? speed_text(*view.pairs_per_second) + " pairs/s" : ""},
      {"batch loss", view.loss ? loss_text(view.loss) : ""},
      {"worst group", worst_text(job, std::string::npos)},
      {"running",
       job.running_time().seconds() > 0 ? duration_text(std::chrono::seconds(job.running_time().seconds())) : ""},
      {"ranks", job.world_size() > 0 ? std::to_string(job.world_size()) : ""},
      {"attempt", attempt_text(job)},
      {"checkpoint", job.has_checkpoint_step() ? "step " + std::to_string(job.checkpoint_step()) : ""},
      {"asked for", requests_text(job.open_requests())},
      {"created", job.has_create_time() ? local_time(job.create_time()) : ""},
      {"started", job.has_start_time() ? local_time(job.start_time()) : ""},
      {"ended", job.has_end_time() ? local_time(job.end_time()) : ""},
      {"output", job.spec().output()},
      {"ledger", job.ledger_chain().empty() ? "" : hex_text(std::as_bytes(std::span(job.ledger_chain())))},
  };
  for (const v1::SettingsChange& change : job.settings_changes()) {
    list.emplace_back("settings", change_text(change, job.settings_changes()));
  }
  for (const std::string& condition : job.conditions()) list.emplace_back("noted", condition);
  if (job.has_failure()) {
    list.emplace_back("failure", failure_text(job.failure()));
    for (const std::string& line : job.failure().log_lines()) list.emplace_back("its log", line);
  }
  return list;
}

}  // namespace

namespace {

// An enum's value that says that none is set is no value: as the field of a message that is absent, it is left out.
void remove_unset(nlohmann::ordered_json& json, const google::protobuf::Descriptor& type) {
  if (!json.is_object()) return;  // a time
  for (auto entry = json.begin(); entry != json.end();) {
    const google::protobuf::FieldDescriptor* const field = type.FindFieldByName(entry.key());
    const bool is_enum = field != nullptr && field->enum_type() != nullptr && entry->is_string();
    if (is_enum && entry->get_ref<const std::string&>().ends_with("_UNSPECIFIED")) {
      entry = json.erase(entry);
      continue;
    }
    if (field != nullptr && field->message_type() != nullptr && !field->is_map()) {
      if (entry->is_array()) {
        for (nlohmann::ordered_json& one : *entry) remove_unset(one, *field->message_type());
      } else {
        remove_unset(*entry, *field->message_type());
      }
    }
    ++entry;
  }
}

}  // namespace

std::string json_text(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;  // as in a job file
  std::string text;
  EQUIPOISE_CHECK(google::protobuf::util::MessageToJsonString(message, &text, options).ok());
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(text);
  remove_unset(json, *message.GetDescriptor());
  return json.dump(1) + "\n";
}

namespace {

// A column of the list of jobs, and whether it tells something of a job.
struct JobColumn {
  Column column;
  std::string (*text)(const v1::TrainingJob& job);
  bool (*tells)(const v1::TrainingJob& job) = nullptr;  // nullptr: only with kWide
};

bool is_always_shown(const v1::TrainingJob&) { return true; }

std::vector<JobColumn> job_columns(TableDetail detail) {
  using Job = v1::TrainingJob;
  constexpr Align kRight = Align::kRight;
  const bool is_wide = detail == TableDetail::kWide;
  return {
      {{"id"}, [](const Job& job) { return job.id(); }, is_always_shown},
      {{"name"}, [](const Job& job) { return job.spec().name(); }},
      {{"state", Align::kLeft, "", job_state_color},
       [](const Job& job) { return state_name(job.state()); },
       is_always_shown},
      {{"steps", kRight}, steps_text, is_always_shown},
      {{"time left", kRight},
       [](const Job& job) {
         const ProgressView view = progress_view(job);
         return view.time_left ? duration_text(*view.time_left) : std::string();
       }},
      {{"pairs/s", kRight},
       [](const Job& job) { return job.has_pairs_per_second() ? speed_text(job.pairs_per_second()) : ""; }},
      {{"ranks", kRight}, [](const Job& job) { return job.world_size() > 0 ? std::to_string(job.world_size()) : ""; }},
      {{"priority", kRight},
       [](const Job& job) { return std::to_string(job.priority()); },
       [](const Job& job) { return job.priority() != 0; }},
      {{"checkpoint", kRight},
       [](const Job& job) { return job.has_checkpoint_step() ? std::to_string(job.checkpoint_step()) : ""; },
       [](const Job& job) { return job.has_checkpoint_step(); }},
      {{"restarts", kRight},
       [](const Job& job) { return job.restarts() > 0 ? std::to_string(job.restarts()) : ""; },
       [](const Job& job) { return job.restarts() > 0; }},
      {{"batch loss", kRight},
       [](const Job& job) { return job.has_loss() ? loss_text(job.loss()) : ""; },
       is_always_shown},
      {{"worst group"},
       is_wide ? +[](const Job& job) { return worst_text(job, std::string::npos); }
               : +[](const Job& job) { return worst_text(job, kLongestGroupInList); },
       is_always_shown},
      {{"created"}, [](const Job& job) { return local_time(job.create_time()); }, is_always_shown},
      {{"output"}, [](const Job& job) { return job.spec().output(); }},
  };
}

// A line for each job that does not train at the moment.
std::string interruption_lines(std::span<const v1::TrainingJob> jobs) {
  std::string lines;
  for (const v1::TrainingJob& job : jobs) {
    const std::string activity = interruption_of(job.state());
    if (activity.empty() || job.state_reason().empty()) continue;
    lines += job.id() + " is " + activity + ": " + printable(job.state_reason()) + "\n";
  }
  return lines;
}

}  // namespace

namespace {

TextTable table_of(std::span<const v1::TrainingJob> jobs, std::span<const JobColumn> shown) {
  std::vector<Column> columns;
  for (const JobColumn& one : shown) columns.push_back(one.column);
  TextTable table(std::move(columns));
  for (const v1::TrainingJob& job : jobs) {
    std::vector<std::string> row;
    for (const JobColumn& one : shown) row.push_back(one.text(job));
    table.add_row(std::move(row));
  }
  return table;
}

// Leaves out what matters least, until a line fits or nothing more can go.
void fit(std::span<const v1::TrainingJob> jobs, std::vector<JobColumn>& shown, std::size_t columns, Glyphs glyphs) {
  const auto is_too_wide = [&] { return text_width(table_of(jobs, shown).text(Colors::kOff, glyphs)) > columns; };
  for (const std::string_view name : {"created", "batch loss", "checkpoint", "priority", "restarts"}) {
    if (!is_too_wide()) return;
    std::erase_if(shown, [&](const JobColumn& one) { return one.column.title == name; });
  }
  if (!is_too_wide()) return;
  for (JobColumn& one : shown) {
    if (one.column.title == "worst group") one.text = short_worst_text;
  }
}

}  // namespace

std::string job_list_table(std::span<const v1::TrainingJob> jobs, Colors colors, Glyphs glyphs, TableDetail detail,
                           std::size_t columns) {
  std::vector<JobColumn> shown = job_columns(detail);
  if (detail == TableDetail::kUsual) {
    std::erase_if(shown,
                  [&](const JobColumn& one) { return one.tells == nullptr || std::ranges::none_of(jobs, one.tells); });
    fit(jobs, shown, columns, glyphs);
  }
  return table_of(jobs, shown).text(colors, glyphs) + interruption_lines(jobs);
}

v1::TrainingJob with_first_evaluation(v1::TrainingJob job) {
  namespace schema = metrics_schema;
  const auto knows = [](const v1::GroupStatus& group) { return group.has_initial_validation_loss(); };
  if (job.spec().output().empty() || std::ranges::any_of(job.groups(), knows)) return job;
  try {
    const auto first = first_record(std::filesystem::path(job.spec().output()) / schema::kFileName);
    if (!first || !first->is_evaluation() || first->integer(schema::kStep) != 0) return job;
    const auto losses = first->by_group(schema::kGroupLoss), accuracies = first->by_group(schema::kGroupAccuracy);
    const std::map<std::string, double> loss_of(losses.begin(), losses.end());
    const std::map<std::string, double> accuracy_of(accuracies.begin(), accuracies.end());
    for (v1::GroupStatus& group : *job.mutable_groups()) {
      if (const auto loss = loss_of.find(group.name()); loss != loss_of.end()) {
        group.set_initial_validation_loss(loss->second);
      }
      if (const auto accuracy = accuracy_of.find(group.name()); accuracy != accuracy_of.end()) {
        group.set_initial_validation_reward_accuracy(accuracy->second);
      }
    }
  } catch (const std::invalid_argument&) {  // the table lacks a column
  }
  return job;
}

std::string job_description(const v1::TrainingJob& job, Colors colors, Glyphs glyphs) {
  const std::vector<Property> list = properties(job);
  std::size_t width = 0;
  for (const Property& property : list) width = std::max(width, property.first.size());
  std::string text;
  for (const auto& [name, value] : list) {
    const TextColor color = name == "state" ? job_state_color(value) : TextColor::kNone;
    if (value.empty()) continue;
    text += name + std::string(width - name.size() + 2, ' ') + colored(printable(value), color, colors) + "\n";
  }
  const std::string groups = group_table(job, colors, glyphs);
  return groups.empty() ? text : text + "\n" + groups;
}

namespace {

using Json = nlohmann::json;

constexpr std::uintmax_t kLargestFile = std::uintmax_t{64} << 20;

struct Split {
  std::int64_t pairs = 0, dropped = 0, shortened = 0, merged = 0, repeated = 0;
};

std::int64_t number(const Json& file, const char* name) {
  const auto found = file.find(name);
  return found != file.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

// Of all files: an object of a single one, a list of several.
Split split_of(const Json& files) {
  Split split;
  const auto add = [&](const Json& file) {
    if (!file.is_object()) return;
    split.pairs += number(file, "pairs");
    split.dropped += number(file, "dropped");
    split.shortened += number(file, "shortened");
    split.merged += number(file, "merged_prompts");
    split.repeated += number(file, "repeated_prompts");
  };
  if (!files.is_array()) add(files);
  if (files.is_array()) {
    for (const Json& file : files) add(file);
  }
  return split;
}

std::string lines_of(const Split& split, const std::string& what) {
  const std::string kept = std::to_string(split.pairs) + " " + what + " pairs ";
  std::string text;
  if (split.dropped + split.shortened > 0) {
    text += std::to_string(split.dropped) + " of " + std::to_string(split.pairs + split.dropped) + " " + what +
            " pairs are left out and " + std::to_string(split.shortened) +
            " are shortened; data.json says of which groups\n";
  }
  if (split.merged > 0) {
    text += std::to_string(split.merged) + " of " + kept + "have a prompt whose end merges into the answers' tokens\n";
  }
  if (split.repeated > 0) {
    text += std::to_string(split.repeated) + " of " + kept + "repeat their prompt in the answers\n";
  }
  return text;
}

}  // namespace

std::string data_notes(const std::filesystem::path& output) {
  const std::filesystem::path path = output / "data.json";
  std::error_code problem;
  const std::uintmax_t size = std::filesystem::file_size(path, problem);
  if (problem || size > kLargestFile) return "";
  std::ifstream file(path);
  const Json report = Json::parse(file, nullptr, false);
  if (!report.is_object()) return "";
  std::string text;
  if (report.contains("train")) text += lines_of(split_of(report["train"]), "training");
  if (report.contains("validation")) text += lines_of(split_of(report["validation"]), "validation");
  return text;
}

}  // namespace equipoise
