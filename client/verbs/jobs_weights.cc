#include <memory>
#include <utility>

#include "client/command_line/coordinator_flags.h"
#include "client/command_line/verb.h"
#include "client/report/job_summary.h"
#include "client/report/weight_history.h"

namespace equipoise {
namespace {

struct WeightsFlags {
  CoordinatorFlags coordinator;
  std::string id;
  bool json = false;
};

v1::ListGroupWeightsResponse whole_history(Connection& connection, const std::string& id) {
  v1::ListGroupWeightsRequest request;
  request.set_id(id);
  v1::ListGroupWeightsResponse all;
  do {
    v1::ListGroupWeightsResponse page = connection.list_group_weights(request);
    request.set_page_token(page.next_page_token());
    if (all.group_names().empty()) all.mutable_group_names()->Swap(page.mutable_group_names());
    for (v1::GroupWeightRecord& record : *page.mutable_records()) *all.add_records() = std::move(record);
  } while (!request.page_token().empty());
  return all;
}

void print_weights(const WeightsFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  const v1::ListGroupWeightsResponse history = whole_history(connection, flags.id);
  console.out << (flags.json ? json_text(history) : weight_history_csv(history));
}

}  // namespace

void add_jobs_weights_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<WeightsFlags>();
  CLI::App* verb = parent.add_subcommand("weights", "The weight of every group after every step, as CSV");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(*verb);
  verb->add_flag("--json", flags->json, "As JSON instead, with loss sums and pair counts");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { print_weights(*flags, console); }; });
}

}  // namespace equipoise
