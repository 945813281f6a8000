#include "experiments/reproduce_verb.h"

#include "experiments/bandits/bandits_verb.h"
#include "experiments/opinions/opinions_verb.h"

namespace equipoise {

void add_reproduce_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb = parent.add_subcommand("reproduce", "Run the paper's experiments and write a report");
  verb->require_subcommand(1);
  add_reproduce_bandits_verb(*verb, chosen);
  add_reproduce_opinions_verb(*verb, chosen);
}

}  // namespace equipoise
