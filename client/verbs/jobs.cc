#include "client/command_line/verb.h"

namespace equipoise {

void add_jobs_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("jobs", "Look at the jobs of a coordinator, or stop one");
  verb->require_subcommand(1);
  for (const auto add : {add_jobs_list_verb, add_jobs_get_verb, add_jobs_watch_verb, add_jobs_cancel_verb,
                         add_jobs_delete_verb, add_jobs_weights_verb}) {
    add(*verb, chosen);
  }
  verb->footer("EQUIPOISE_COORDINATOR=HOST:PORT saves typing --coordinator each time.");
}

}  // namespace equipoise
