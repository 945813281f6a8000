// What a shell asks to complete a command line: scripts made of the command's own verbs and options.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace equipoise {

// A script for bash (`source <(equipoise completion bash)`): verbs, options once a word begins with "-", and behind an
// option that takes one of some words, these; everything else is a file name. `root` is the whole command.
std::string bash_completion(const CLI::App& root);

// The same for zsh, with what each verb does.
std::string zsh_completion(const CLI::App& root);

}  // namespace equipoise
