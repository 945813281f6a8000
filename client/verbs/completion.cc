#include <memory>
#include <string>

#include "client/command_line/verb.h"
#include "client/completion/shell_completion.h"

namespace equipoise {

void add_completion_verb(CLI::App& parent, Action& chosen) {
  auto shell = std::make_shared<std::string>();
  CLI::App* verb = parent.add_subcommand("completion", "Print a script with which a shell completes this command");
  verb->add_option("SHELL", *shell, "bash or zsh")->type_name("")->required()->check(CLI::IsMember({"bash", "zsh"}));
  verb->footer(
      "  source <(equipoise completion bash)                       for this shell\n"
      "  equipoise completion zsh > ~/.zfunc/_equipoise            for a folder of zsh's $fpath");
  verb->callback([shell, &parent, &chosen] {
    chosen = [shell, &parent](const Console& console) {
      console.out << (*shell == "bash" ? bash_completion(parent) : zsh_completion(parent));
    };
  });
}

}  // namespace equipoise
