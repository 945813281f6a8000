#include "client/completion/shell_completion.h"

#include <vector>

namespace equipoise {
namespace {

// One verb, "jobs list"; the command itself is "".
struct VerbWords {
  std::string path;
  std::vector<const CLI::App*> verbs;
  std::vector<std::string> options;
};

void collect(const CLI::App& app, const std::string& path, std::vector<VerbWords>& all) {
  VerbWords words{.path = path, .verbs = {}, .options = {}};
  for (const CLI::App* const verb : app.get_subcommands(nullptr)) {
    if (!verb->get_name().empty()) words.verbs.push_back(verb);
  }
  for (const CLI::Option* const option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words.options.push_back("--" + name);
  }
  all.push_back(words);
  for (const CLI::App* const verb : words.verbs) {
    collect(*verb, path.empty() ? verb->get_name() : path + " " + verb->get_name(), all);
  }
}

std::vector<VerbWords> verb_words(const CLI::App& root) {
  std::vector<VerbWords> all;
  collect(root, "", all);
  return all;
}

// "train|submit|jobs list": a shell's pattern of all verbs, each in quotes.
std::string verb_pattern(const std::vector<VerbWords>& all) {
  std::string pattern;
  for (const VerbWords& words : all) {
    if (words.path.empty()) continue;
    if (!pattern.empty()) pattern += "|";
    pattern.append("\"").append(words.path).append("\"");
  }
  return pattern;
}

std::string with_blanks(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : " ").append(word);
  return text;
}

std::string verb_names(const VerbWords& words) {
  std::vector<std::string> names;
  for (const CLI::App* const verb : words.verbs) names.push_back(verb->get_name());
  return with_blanks(names);
}

// In single quotes; a colon ends the verb's name in a description of zsh.
std::string zsh_text(const std::string& text) {
  std::string quoted;
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c == '\n' ? ' ' : c;
    }
  }
  return "'" + quoted + "'";
}

}  // namespace

std::string bash_completion(const CLI::App& root) {
  const std::vector<VerbWords> all = verb_words(root);
  std::string script =
      "# Completion of equipoise for bash: source <(equipoise completion bash)\n"
      "_equipoise() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} verb='' verbs='' options='' i\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    case \"${verb:+$verb }${COMP_WORDS[i]}\" in\n"
      "      ";
  script += verb_pattern(all);
  script +=
      ") verb=\"${verb:+$verb }${COMP_WORDS[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$verb\" in\n";
  for (const VerbWords& words : all) {
    script += "    \"" + words.path + "\") verbs='" + verb_names(words) + "' options='" + with_blanks(words.options);
    script += "' ;;\n";
  }
  script +=
      "  esac\n"
      "  COMPREPLY=()\n"
      "  if [[ $current == -* ]]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$current\")\n"
      "  elif [[ -n $verbs ]]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W \"$verbs\" -- \"$current\")\n"
      "  fi\n"
      "}\n"
      "complete -o default -F _equipoise equipoise\n";
  return script;
}

std::string zsh_completion(const CLI::App& root) {
  const std::vector<VerbWords> all = verb_words(root);
  std::string script =
      "#compdef equipoise\n"
      "# Completion of equipoise for zsh: source <(equipoise completion zsh), or as _equipoise in a folder of $fpath\n"
      "_equipoise() {\n"
      "  local verb='' i\n"
      "  local -a verbs options\n"
      "  for ((i = 2; i < CURRENT; ++i)); do\n"
      "    case \"${verb:+$verb }${words[i]}\" in\n"
      "      ";
  script += verb_pattern(all);
  script +=
      ") verb=\"${verb:+$verb }${words[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$verb\" in\n";
  for (const VerbWords& words : all) {
    script += "    \"" + words.path + "\")\n      verbs=(";
    for (const CLI::App* const verb : words.verbs) {
      script += "\n        " + zsh_text(verb->get_name() + ":" + verb->get_description());
    }
    script += ")\n      options=(" + with_blanks(words.options) + ") ;;\n";
  }
  script +=
      "  esac\n"
      "  if [[ ${words[CURRENT]} == -* ]]; then\n"
      "    compadd -- $options\n"
      "  elif (( $#verbs )); then\n"
      "    _describe verb verbs\n"
      "  else\n"
      "    _files\n"
      "  fi\n"
      "}\n"
      "if [[ $funcstack[1] == _equipoise ]]; then _equipoise \"$@\"; else compdef _equipoise equipoise; fi\n";
  return script;
}

}  // namespace equipoise
