#include "client/command_line/verb.h"

namespace equipoise {

void add_data_verb(CLI::App& parent, Action& chosen) {
  CLI::App* verb =
      parent.add_subcommand("data", "Make and check preference pairs; or a survey to try things with");
  verb->require_subcommand(1);
  add_data_import_verb(*verb, chosen);
  add_data_check_verb(*verb, chosen);
  add_data_generate_verb(*verb, chosen);
  add_data_log_linear_verb(*verb, chosen);
}

}  // namespace equipoise
