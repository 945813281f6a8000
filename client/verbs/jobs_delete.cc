#include <memory>

#include "client/command_line/coordinator_flags.h"
#include "client/command_line/verb.h"

namespace equipoise {
namespace {

struct DeleteFlags {
  CoordinatorFlags coordinator;
  std::string id;
};

void delete_job(const DeleteFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  connection.delete_job(flags.id);
  console.out << flags.id << " is deleted\n";
}

}  // namespace

void add_jobs_delete_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<DeleteFlags>();
  CLI::App* verb = parent.add_subcommand("delete", "Delete a job that has ended; files it wrote stay");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(*verb);
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { delete_job(*flags, console); }; });
}

}  // namespace equipoise
