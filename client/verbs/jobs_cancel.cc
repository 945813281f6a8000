#include <memory>

#include "client/command_line/coordinator_flags.h"
#include "client/command_line/verb.h"
#include "client/report/job_summary.h"
#include "common/protocol/job_state.h"

namespace equipoise {
namespace {

struct CancelFlags {
  CoordinatorFlags coordinator;
  std::string id;
};

void cancel_job(const CancelFlags& flags, const Console& console) {
  Connection connection = flags.coordinator.connect();
  const v1::TrainingJob job = connection.cancel_job(flags.id);
  console.out << job.id() << " is " << state_name(job.state()) << "\n";
}

}  // namespace

void add_jobs_cancel_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<CancelFlags>();
  CLI::App* verb = parent.add_subcommand("cancel", "Stop a job; what it has written stays");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(*verb);
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { cancel_job(*flags, console); }; });
}

}  // namespace equipoise
