#include <memory>
#include <vector>

#include "client/command_line/coordinator_flags.h"
#include "client/command_line/verb.h"
#include "client/report/job_summary.h"
#include "common/protocol/job_state.h"

namespace equipoise {
namespace {

struct ListFlags {
  CoordinatorFlags coordinator;
  std::vector<std::string> states;
  bool json = false;
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
  Connection connection = flags.coordinator.connect();
  const v1::ListTrainingJobsResponse all = all_jobs(connection, request);
  if (flags.json) {
    console.out << json_text(all);
  } else if (all.jobs().empty()) {
    console.out << "no jobs\n";
  } else {
    const std::vector<v1::TrainingJob> jobs(all.jobs().begin(), all.jobs().end());
    console.out << job_list_table(jobs, console.colors, console.glyphs);
  }
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
  verb->add_flag("--json", flags->json, "Everything, for programs");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { list_jobs(*flags, console); }; });
}

}  // namespace equipoise
