#include "client/command_line/run_command.h"
#include "client/console/console.h"
#include "common/protocol/reconnection.h"
#include "experiments/reproduce_verb.h"

// The only line of client/ that knows the experiments.
constexpr equipoise::AddVerb kFurtherVerbs[] = {equipoise::add_reproduce_verb};

int main(int argc, char** argv) {
  equipoise::open_standard_descriptors();
  equipoise::find_coordinators_again_soon();
  equipoise::StandardOutput output;
  return static_cast<int>(
      equipoise::run_command({argv + 1, argv + argc}, equipoise::standard_console(), kFurtherVerbs));
}
