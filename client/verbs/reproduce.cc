#include "client/command_line/verb.h"

namespace equipoise {

void add_reproduce_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("reproduce", "Run the paper's experiments and write a report");
  verb->require_subcommand(1);
  add_reproduce_bandits_verb(*verb, chosen);
  add_reproduce_opinions_verb(*verb, chosen);
}

}  // namespace equipoise
