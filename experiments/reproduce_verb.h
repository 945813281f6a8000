// `equipoise reproduce`: the paper's experiments. client/main.cc adds it to the verbs of the command.
#pragma once

#include "client/command_line/verb.h"

namespace equipoise {

void add_reproduce_verb(CLI::App& parent, Action& chosen);

}  // namespace equipoise
