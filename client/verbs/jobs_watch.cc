#include <memory>

#include "client/command_line/coordinator_flags.h"
#include "client/command_line/verb.h"
#include "client/connection/follow_job.h"
#include "client/connection/interrupts.h"

namespace equipoise {
namespace {

struct WatchFlags {
  CoordinatorFlags coordinator;
  std::string id;
};

void watch_job(const WatchFlags& flags, const Console& console) {
  JobInbox inbox;
  const Interrupts interrupts([&inbox] { inbox.interrupt(); });
  Connection connection = flags.coordinator.connect([&inbox] { return inbox.interrupted(); });
  const v1::TrainingJob job = connection.get_job(flags.id);
  show_until_end(connection, job.id(), inbox, console);
}

}  // namespace

void add_jobs_watch_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<WatchFlags>();
  CLI::App* verb = parent.add_subcommand("watch", "Show a job's progress until it ends");
  verb->add_option("ID", flags->id, "As `submit` and `jobs list` print it")->type_name("")->required();
  flags->coordinator.add_to(*verb);
  verb->footer("Ctrl-C leaves; the job goes on. Exit code: 0 succeeded, 2 bad input, 1 failed or cancelled, 130 left.");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { watch_job(*flags, console); }; });
}

}  // namespace equipoise
