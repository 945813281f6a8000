#include <memory>

#include "client/command_line/coordinator_flags.h"
#include "client/command_line/verb.h"
#include "client/report/weight_history.h"

namespace equipoise {
namespace {

struct WeightsFlags {
  CoordinatorFlags coordinator;
  std::string id;
  bool json = false;
};

void print_weights(const WeightsFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  const auto writer = flags.json ? make_json_writer(console.out) : make_csv_writer(console.out);
  v1::ListGroupWeightsRequest request;
  request.set_id(flags.id);
  do {
    const v1::ListGroupWeightsResponse page = connection.list_group_weights(request);
    writer->add(page);
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  writer->finish();
}

}  // namespace

void add_jobs_weights_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<WeightsFlags>();
  CLI::App* verb = parent.add_subcommand("weights", "The weight of every group after every step, as CSV");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(*verb);
  verb->add_flag("--json", flags->json, "As JSON instead");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { print_weights(*flags, console); }; });
}

}  // namespace equipoise
