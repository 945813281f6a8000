#include <memory>
#include <string>

#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/report/rank_table.h"
#include "client/verbs/message_result.h"

namespace equipoise {
namespace {

struct RanksFlags {
  CoordinatorFlags coordinator;
  std::string id;
  ResultFlags result;
};

v1::ListRanksResponse all_ranks(Connection& connection, const std::string& id) {
  v1::ListRanksRequest request;
  request.set_id(id);
  v1::ListRanksResponse all;
  do {
    const v1::ListRanksResponse page = connection.list_ranks(request);
    all.mutable_ranks()->MergeFrom(page.ranks());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

void print_ranks(const RanksFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  const v1::ListRanksResponse ranks = all_ranks(connection, flags.id);
  const auto text = [&]() -> std::string {
    return ranks.ranks().empty() ? "no ranks\n" : rank_table(ranks, console.colors, console.glyphs);
  };
  flags.result.print(message_result(ranks, text), console);
}

}  // namespace

void add_jobs_ranks_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<RanksFlags>();
  CLI::App* verb = parent.add_subcommand("ranks", "What each rank of a job does, and for how long it has stood still");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(*verb);
  flags->result.add_to(*verb);
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { print_ranks(*flags, console); }; });
}

}  // namespace equipoise
