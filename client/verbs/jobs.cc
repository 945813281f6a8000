#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/connection/follow_job.h"
#include "client/connection/interrupts.h"
#include "client/report/group_tables.h"
#include "client/report/job_summary.h"
#include "client/verbs/message_result.h"
#include "common/protocol/job_state.h"

namespace equipoise {
namespace {

struct CancelFlags {
  CoordinatorFlags coordinator;
  std::string id;
  std::string etag;
  ResultFlags result;
};

void cancel_job(const CancelFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  const v1::TrainingJob job = connection.cancel_job({flags.id, flags.etag});
  flags.result.print(job_result(job, [&] { return job.id() + " is " + state_name(job.state()) + "\n"; }), console);
}

}  // namespace

void add_jobs_cancel_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<CancelFlags>();
  CLI::App* verb = parent.add_subcommand("cancel", "Stop a job; what it has written stays");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(*verb);
  add_etag_flag(*verb, flags->etag);
  flags->result.add_to(*verb, {ResultFormat::kName});
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { cancel_job(*flags, console); }; });
}

namespace {

struct DeleteFlags {
  CoordinatorFlags coordinator;
  std::string id;
  std::string etag;
};

void delete_job(const DeleteFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  connection.delete_job({flags.id, flags.etag});
  console.out << flags.id << " is deleted\n";
}

}  // namespace

void add_jobs_delete_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<DeleteFlags>();
  CLI::App* verb =
      parent.add_subcommand("delete", "Delete a job that has ended, with its history and logs; its output stays");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(*verb);
  add_etag_flag(*verb, flags->etag);
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { delete_job(*flags, console); }; });
}

namespace {

struct GetFlags {
  CoordinatorFlags coordinator;
  std::string id;
  ResultFlags result;
};

void get_job(const GetFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  const v1::TrainingJob job = connection.get_job(flags.id);
  flags.result.print(job_result(job, [&] { return job_description(job, console.colors, console.glyphs); }), console);
}

}  // namespace

void add_jobs_get_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<GetFlags>();
  CLI::App* verb = parent.add_subcommand("get", "One job: state, why, progress, every group");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(*verb);
  flags->result.add_to(*verb, {ResultFormat::kName});
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { get_job(*flags, console); }; });
}

namespace {

struct ListFlags {
  CoordinatorFlags coordinator;
  std::vector<std::string> states;
  std::string filter;
  ResultFlags result;
};

v1::ListTrainingJobsResponse all_jobs(Connection& connection, v1::ListTrainingJobsRequest request) {
  v1::ListTrainingJobsResponse all;
  do {
    const v1::ListTrainingJobsResponse page = connection.list_jobs(request);
    all.mutable_jobs()->MergeFrom(page.jobs());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

v1::JobState state_named(std::string name) {
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  v1::JobState_Parse("JOB_STATE_" + name, &state);
  return state;
}

std::vector<std::string> state_names() {
  std::vector<std::string> names;
  const auto* states = v1::JobState_descriptor();
  for (int i = 1; i < states->value_count(); ++i) {
    names.push_back(state_name(static_cast<v1::JobState>(states->value(i)->number())));
  }
  return names;
}

void list_jobs(const ListFlags& flags, const Console& console) {
  v1::ListTrainingJobsRequest request;
  for (const std::string& name : flags.states) request.add_states(state_named(name));
  request.set_filter(flags.filter);
  Connection connection = flags.coordinator.connect();
  const v1::ListTrainingJobsResponse all = all_jobs(connection, request);
  VerbResult result = message_result(all, [&]() -> std::string {
    if (all.jobs().empty()) return "no jobs\n";
    const std::vector<v1::TrainingJob> jobs(all.jobs().begin(), all.jobs().end());
    const bool is_terminal = console.kind == OutputKind::kTerminal;
    return job_list_table(jobs, console.colors, console.glyphs, flags.result.detail(),
                          is_terminal ? console.columns() : std::numeric_limits<std::size_t>::max());
  });
  result.names = [&all] {
    std::vector<std::string> ids;
    for (const v1::TrainingJob& job : all.jobs()) ids.push_back(job.id());
    return ids;
  };
  flags.result.print(result, console);
}

}  // namespace

void add_jobs_list_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<ListFlags>();
  CLI::App* verb = parent.add_subcommand("list", "All jobs, newest first");
  flags->coordinator.add_to(*verb);
  verb->add_option("--state", flags->states, "Only jobs in this state; may be repeated")
      ->type_name("STATE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->transform(CLI::IsMember(state_names(), CLI::ignore_case));
  verb->add_option("--filter", flags->filter, "Only jobs for which this holds")->type_name("FILTER");
  flags->result.add_to(*verb, {ResultFormat::kName});
  verb->footer(
      "FILTER: comparisons joined by AND, as 'state = FAILED AND step > 100 AND name : \"survey\"'.\n"
      "  id, name, parent_id                = != : (contains)\n"
      "  state, failure_kind                = !=\n"
      "  priority, step                     = != < <= > >=\n"
      "  create_time, start_time, end_time  = != < <= > >=  2026-11-30T12:00:00Z");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { list_jobs(*flags, console); }; });
}

namespace {

struct WatchFlags {
  CoordinatorFlags coordinator;
  std::string id;
  ResultFlags result;
};

void watch_job(const WatchFlags& flags, const Console& console) {
  JobInbox inbox;
  const Interrupts interrupts([&inbox](int signal) { inbox.interrupt(signal); });
  Connection connection = flags.coordinator.connect([&inbox] { return inbox.interrupted(); });
  const v1::TrainingJob job = connection.get_job(flags.id);
  watch_until_end(connection, job.id(), inbox, flags.result, console);
}

}  // namespace

void add_jobs_watch_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<WatchFlags>();
  CLI::App* verb = parent.add_subcommand("watch", "Show a job's progress until it ends");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(*verb);
  flags->result.add_to(*verb, {ResultFormat::kName});
  verb->footer(
      "Ctrl-C leaves; the job goes on. A PAUSED job is watched until it is resumed and ends.\nExit code: 0 succeeded, "
      "2 bad input, 1 failed or cancelled, 130 left.");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { watch_job(*flags, console); }; });
}

namespace {

struct WeightsFlags {
  CoordinatorFlags coordinator;
  std::string id;
  ResultFlags result;
};

v1::ListGroupWeightsResponse whole_history(Connection& connection, const std::string& id) {
  v1::ListGroupWeightsRequest request;
  request.set_id(id);
  v1::ListGroupWeightsResponse all;
  do {
    v1::ListGroupWeightsResponse page = connection.list_group_weights(request);
    request.set_page_token(page.next_page_token());
    if (all.group_names().empty()) all.mutable_group_names()->Swap(page.mutable_group_names());
    all.set_thinned_end(page.thinned_end());
    all.set_thinned_spacing(page.thinned_spacing());
    for (v1::GroupWeightRecord& record : *page.mutable_records()) *all.add_records() = std::move(record);
  } while (!request.page_token().empty());
  return all;
}

void print_weights(const WeightsFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  const v1::ListGroupWeightsResponse history = whole_history(connection, flags.id);
  if (history.thinned_end() > 0) {
    console.err << "equipoise: of the steps below " << history.thinned_end() << " about one in "
                << history.thinned_spacing() << " is left, as the job had more than the coordinator keeps\n";
  }
  VerbResult result = message_result(history, [&history] { return weight_history_csv(history); });
  result.document = [&history](TableFormat) { return weight_history_csv(history); };
  flags.result.print(result, console);
}

}  // namespace

void add_jobs_weights_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<WeightsFlags>();
  CLI::App* verb = parent.add_subcommand("weights", "The weight of every group after every step, as CSV");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(*verb);
  flags->result.add_to(*verb, {ResultFormat::kCsv});
  verb->footer("With -o json and yaml come loss sums and pair counts.");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { print_weights(*flags, console); }; });
}

void add_jobs_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("jobs", "Look at the jobs of a coordinator, pause or stop one");
  verb->require_subcommand(1);
  for (const auto add :
       {add_jobs_list_verb, add_jobs_get_verb, add_jobs_watch_verb, add_jobs_pause_verb, add_jobs_resume_verb,
        add_jobs_checkpoint_verb, add_jobs_evaluate_verb, add_jobs_set_verb, add_jobs_fork_verb, add_jobs_tree_verb,
        add_jobs_cancel_verb, add_jobs_delete_verb, add_jobs_ranks_verb, add_jobs_weights_verb, add_jobs_attempts_verb,
        add_jobs_checkpoints_verb, add_jobs_events_verb, add_jobs_report_verb}) {
    add(*verb, chosen);
  }
  verb->footer("EQUIPOISE_COORDINATOR=HOST:PORT saves typing --coordinator each time.");
}

}  // namespace equipoise
