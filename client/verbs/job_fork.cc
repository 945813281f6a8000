// Jobs that begin with a checkpoint of another one, and who begins with whose.
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/report/job_summary.h"
#include "client/report/state_color.h"
#include "client/table/display_width.h"
#include "client/table/json_document.h"
#include "client/verbs/job_wishes.h"
#include "client/verbs/message_result.h"
#include "common/config/job_file.h"
#include "common/protocol/job_state.h"
#include "common/protocol/live_settings.h"

namespace equipoise {
namespace {

struct ForkFlags {
  CoordinatorFlags coordinator;
  std::string id;
  std::optional<std::int64_t> step;
  std::string name;
  std::string output;
  std::optional<int> workers;
  std::vector<std::string> settings;
  std::string etag;
  ResultFlags result;
};

// The job as it was at that step, but for what the flags say.
v1::JobSpec forked_spec(const ForkFlags& flags, const v1::TrainingJob& parent, std::int64_t step) {
  v1::JobSpec spec = parent.spec();
  const v1::TrainingJobSettings held = settings_in_force(parent.settings_changes(), step);
  if (held.has_trade_off()) spec.mutable_robust()->set_trade_off(held.trade_off());
  if (held.has_step_size()) spec.mutable_robust()->set_step_size(held.step_size());
  if (held.has_learning_rate()) spec.mutable_optimizer()->set_learning_rate(held.learning_rate());
  if (held.has_max_steps()) spec.mutable_training()->set_max_steps(held.max_steps());
  spec.clear_overwrite();
  std::filesystem::path beside = parent.spec().output();
  if (!beside.has_filename()) beside = beside.parent_path();
  spec.set_output(beside.string() + "-fork-" + std::to_string(step));
  for (const std::string& setting : flags.settings) merge_override(setting, spec);
  if (!flags.name.empty()) spec.set_name(flags.name);
  if (flags.workers) spec.mutable_launch()->set_workers(*flags.workers);
  if (!flags.output.empty()) spec.set_output(std::filesystem::absolute(flags.output).lexically_normal().string());
  return spec;
}

// Of a job that runs the steps so far, unless a step is named.
v1::TrainingJob parent_with_checkpoint(const ForkFlags& flags, const Console& console) {
  const v1::TrainingJob job = flags.coordinator.connect().get_job(flags.id);
  if (flags.step || job.state() != v1::JOB_STATE_RUNNING) return job;
  return checkpoint_now(flags.coordinator, flags.id, flags.result.progress_console(console, TextFor::kScripts));
}

void fork_job(const ForkFlags& flags, const Console& console) {
  const v1::TrainingJob parent = parent_with_checkpoint(flags, console);
  const std::int64_t step = flags.step.value_or(parent.checkpoint_step());
  v1::ForkTrainingJobRequest request;
  request.set_id(flags.id);
  if (flags.step || parent.has_checkpoint_step()) request.set_step(step);
  *request.mutable_spec() = forked_spec(flags, parent, step);
  request.set_etag(flags.etag);
  Connection connection = flags.coordinator.connect();
  const v1::TrainingJob job = connection.fork_job(request);
  const auto text = [&] {
    if (console.kind != OutputKind::kTerminal) return job.id() + "\n";
    return job.id() + "\ngoes on from step " + std::to_string(job.parent_step()) + " of " + job.parent_id() + " in " +
           printable(job.spec().output()) + "\n";
  };
  flags.result.print(job_result(job, text), console);
}

}  // namespace

void add_jobs_fork_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<ForkFlags>();
  CLI::App* verb = parent.add_subcommand("fork", "Start a new job from a checkpoint of another one, and print its id");
  verb->add_option("ID", flags->id, "The other one, which goes on as it is")->type_name("")->required();
  verb->add_option("--at", flags->step,
                   "The checkpoint of this step (default: of a job that runs a new one, else its "
                   "newest)")
      ->type_name("STEP")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--name", flags->name, "Name of the new job (default: that of the other one)")->type_name("NAME");
  verb->add_option("--output", flags->output, "Its folder (default: OUTPUT-fork-STEP)")->type_name("DIR");
  verb->add_option("--np", flags->workers, "Its worker processes (default: as many)")->type_name("N");
  verb->add_option("--set", flags->settings, "Change one setting: --set robust.trade_off=0.5; may be repeated")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_etag_flag(*verb, flags->etag);
  flags->coordinator.add_to(*verb);
  flags->result.add_to(*verb, {ResultFormat::kName});
  verb->footer(
      "It has the settings of the other job as they held at that step, but for those named. Model, data and what the\n"
      "checkpoint is made for stay the same; a setting that does not go with it is refused by name.");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { fork_job(*flags, console); }; });
}

namespace {

struct TreeFlags {
  CoordinatorFlags coordinator;
  std::string id;
  ResultFlags result;
};

// Every job under the one that it began with, older ones first.
class LineageTree {
 public:
  LineageTree(const std::vector<v1::TrainingJob>& jobs, const Console& console)
      : glyphs_(console.glyphs), colors_(console.colors) {
    for (const v1::TrainingJob& job : jobs) {
      by_id_[job.id()] = &job;
      children_[job.parent_id()].push_back(&job);
    }
  }

  // Of the job's whole family, or of all jobs where `id` is empty.
  std::string text(const std::string& id) const {
    std::string text;
    for (const v1::TrainingJob* root : roots(id)) add(*root, "", "", text);
    return text;
  }
  // The same as an object with a list, each job with those that began with it.
  std::string json(const std::string& id) const {
    nlohmann::ordered_json jobs = nlohmann::ordered_json::array();
    for (const v1::TrainingJob* root : roots(id)) jobs.push_back(value_of(*root));
    return json_document({{"jobs", std::move(jobs)}});
  }
  bool contains(const std::string& id) const { return by_id_.contains(id); }

 private:
  std::vector<const v1::TrainingJob*> roots(const std::string& id) const {
    if (!id.empty()) return {by_id_.at(root_of(id))};
    std::vector<const v1::TrainingJob*> all;
    for (const auto& [parent, jobs] : children_) {
      if (!by_id_.contains(parent)) all.insert(all.end(), jobs.begin(), jobs.end());
    }
    return all;
  }

  nlohmann::ordered_json value_of(const v1::TrainingJob& job) const {
    nlohmann::ordered_json value = {{"id", job.id()},
                                    {"name", job.spec().name()},
                                    {"state", v1::JobState_Name(job.state())},
                                    {"step", job.step()},
                                    {"total_steps", job.total_steps()},
                                    {"parent_id", job.parent_id()},
                                    {"parent_step", job.parent_step()},
                                    {"forks", nlohmann::ordered_json::array()}};
    const auto found = children_.find(job.id());
    if (found == children_.end()) return value;
    for (const v1::TrainingJob* child : found->second) value["forks"].push_back(value_of(*child));
    return value;
  }

  std::string root_of(std::string id) const {
    while (by_id_.contains(by_id_.at(id)->parent_id())) id = by_id_.at(id)->parent_id();
    return id;
  }

  void add(const v1::TrainingJob& job, const std::string& first, const std::string& rest, std::string& text) const {
    const std::string state = state_name(job.state());
    text += first + job.id() + "  " + colored(state, job_state_color(state), colors_) + "  step " +
            std::to_string(job.step());
    if (job.total_steps() > 0) text += " of " + std::to_string(job.total_steps());
    if (!job.parent_id().empty()) text += ", from step " + std::to_string(job.parent_step());
    if (!job.parent_id().empty() && !contains(job.parent_id())) text += " of " + job.parent_id() + ", which is deleted";
    text += "\n";
    const auto found = children_.find(job.id());
    if (found == children_.end()) return;
    const bool is_ascii = glyphs_ == Glyphs::kAscii;
    const std::string_view branch = is_ascii ? "|- " : "├─ ", last_branch = is_ascii ? "`- " : "└─ ";
    const std::string_view line = is_ascii ? "|  " : "│  ";
    for (const v1::TrainingJob* child : found->second) {
      const bool is_last = child == found->second.back();
      std::string before = rest, below = rest;
      before += is_last ? last_branch : branch;
      below += is_last ? "   " : line;
      add(*child, before, below, text);
    }
  }

  Glyphs glyphs_;
  Colors colors_;
  std::map<std::string, const v1::TrainingJob*> by_id_;
  std::map<std::string, std::vector<const v1::TrainingJob*>> children_;  // by id of the parent
};

void print_tree(const TreeFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  if (!flags.id.empty()) connection.get_job(flags.id);  // says where there is none
  std::vector<v1::TrainingJob> jobs;
  v1::ListTrainingJobsRequest request;
  do {
    v1::ListTrainingJobsResponse page = connection.list_jobs(request);
    for (v1::TrainingJob& job : *page.mutable_jobs()) jobs.push_back(std::move(job));
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  std::ranges::reverse(jobs);  // oldest first
  const LineageTree tree(jobs, console);
  const std::string id = tree.contains(flags.id) ? flags.id : "";
  flags.result.print(
      {.text = [&] { return jobs.empty() ? "no jobs\n" : tree.text(id); }, .json = [&] { return tree.json(id); }},
      console);
}

}  // namespace

void add_jobs_tree_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<TreeFlags>();
  CLI::App* verb = parent.add_subcommand("tree", "Which jobs began with a checkpoint of which, as a tree");
  verb->add_option("ID", flags->id, "Only the family of this job")->type_name("");
  flags->coordinator.add_to(*verb);
  flags->result.add_to(*verb);
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { print_tree(*flags, console); }; });
}

}  // namespace equipoise
