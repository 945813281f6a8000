#include "client/completion/shell_completion.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace equipoise {
namespace {

// An option that takes one of some words: "-o" and "--format", "text", "json", ...
struct OptionWords {
  std::vector<std::string> names;
  std::vector<std::string> values;
};

// One verb, "jobs list"; the command itself is "".
struct VerbWords {
  std::string path;
  std::vector<const CLI::App*> verbs;
  std::vector<std::string> options;
  std::vector<OptionWords> choices;
};

std::vector<std::string> names_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

// What the option's help says that it takes, "json|yaml" or "LEVEL:{debug,info}"; a word in capitals stands for others.
std::vector<std::string> values_of(const CLI::Option& option) {
  std::string type = option.get_type_name();
  const std::size_t open = type.find('{');
  const bool has_list = open != std::string::npos && type.find('}', open) != std::string::npos;
  if (has_list) type = type.substr(open + 1, type.find('}', open) - open - 1);
  if (!has_list && type.find('|') == std::string::npos) return {};
  std::vector<std::string> values;
  for (std::size_t begin = 0; begin <= type.size();) {
    const std::size_t end = std::min(type.find(has_list ? ',' : '|', begin), type.size());
    const std::string word = type.substr(begin, end - begin);
    const bool is_word =
        std::ranges::all_of(word, [](char c) { return (c >= 'a' && c <= 'z') || c == '_' || c == '-'; });
    if (is_word && !word.empty()) values.push_back(word);
    begin = end + 1;
  }
  return values;
}

void collect(const CLI::App& app, const std::string& path, std::vector<VerbWords>& all) {
  VerbWords words{.path = path, .verbs = {}, .options = {}, .choices = {}};
  for (const CLI::App* const verb : app.get_subcommands(nullptr)) {
    if (!verb->get_name().empty()) words.verbs.push_back(verb);
  }
  for (const CLI::Option* const option : app.get_options()) {
    const std::vector<std::string> names = names_of(*option);
    words.options.insert(words.options.end(), names.begin(), names.end());
    if (const auto values = values_of(*option); !names.empty() && !values.empty()) {
      words.choices.push_back({.names = names, .values = values});
    }
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

// A case of a shell for each option that takes one of some words: "jobs list -o") values='text json' ;;
std::string choice_cases(const std::vector<VerbWords>& all) {
  std::string cases;
  for (const VerbWords& words : all) {
    for (const OptionWords& choice : words.choices) {
      std::string pattern;
      for (const std::string& name : choice.names) {
        pattern.append(pattern.empty() ? "\"" : "|\"").append(words.path).append(" ").append(name).append("\"");
      }
      cases.append("    ").append(pattern).append(") values='").append(with_blanks(choice.values)).append("' ;;\n");
    }
  }
  return cases;
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
      "  local current=${COMP_WORDS[COMP_CWORD]} verb='' verbs='' options='' values='' i\n"
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
      "  local last=$((COMP_CWORD - 1))\n"
      "  if [[ $current == = ]]; then current=''; elif [[ ${COMP_WORDS[last]} == = ]]; then last=$((last - 1)); fi\n"
      "  case \"$verb ${COMP_WORDS[last]}\" in\n" +
      choice_cases(all) +
      "  esac\n"
      "  COMPREPLY=()\n"
      "  if [[ -n $values ]]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W \"$values\" -- \"$current\")\n"
      "  elif [[ $current == -* ]]; then\n"
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
      "  local verb='' values='' i\n"
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
      "  case \"$verb ${words[CURRENT-1]}\" in\n" +
      choice_cases(all) +
      "  esac\n"
      "  if [[ -n $values ]]; then\n"
      "    compadd -- ${=values}\n"
      "  elif [[ ${words[CURRENT]} == -* ]]; then\n"
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
