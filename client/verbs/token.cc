// `equipoise token create`: who may call a coordinator, and with what.
#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include "client/command_line/verb.h"
#include "common/base/message_text.h"
#include "common/base/secret_file.h"
#include "common/base/service_access.h"

namespace equipoise {
namespace {

struct TokenFlags {
  TokenOwner owner;
  std::string output;
};

void check_name(const std::string& name) {
  constexpr std::size_t kLongest = 64;
  const auto is_part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '@' || c == '-';
  };
  if (!name.empty() && name.size() <= kLongest && std::ranges::all_of(name, is_part)) return;
  throw std::invalid_argument("--name is " + quoted_text(name) + ", expected 1 to 64 letters, digits and ._@-");
}

void create_token(const TokenFlags& flags, const Console& console) {
  check_name(flags.owner.name);
  const std::string token = new_token();
  if (flags.output.empty()) {
    console.err << "The token, which is shown this once; its owner keeps it in a file of mode 0600:\n";
    console.out << token << "\n" << std::flush;
    console.err << "The line for the coordinator's --tokens file:\n";
  } else {
    write_secret_file(flags.output, token + "\n");
    console.err << "The token is in " << flags.output << "; the line for the coordinator's --tokens file:\n";
  }
  console.out << token_line(flags.owner, token);
}

}  // namespace

void add_token_verb(CLI::App& parent, Action& chosen) {
  CLI::App* const verb = parent.add_subcommand("token", "Tokens with which people call a coordinator");
  verb->require_subcommand(1);
  auto flags = std::make_shared<TokenFlags>();
  CLI::App* const create = verb->add_subcommand("create", "Make a token, and the line that lets its owner in");
  create
      ->add_option("--role", flags->owner.role, "viewer reads; operator makes and changes jobs; admin deletes them too")
      ->check(CLI::IsMember({"viewer", "operator", "admin"}))
      ->required();
  create->add_option("--name", flags->owner.name, "Who it is for: logs and limits name them")->required();
  create->add_option("--output", flags->output, "New file of mode 0600 for the token, in place of standard output")
      ->type_name("FILE");
  create->callback([flags, &chosen] { chosen = [flags](const Console& console) { create_token(*flags, console); }; });
}

}  // namespace equipoise
