// `equipoise reproduce opinions`: the paper's language-model experiment on an opinion survey.
#pragma once

#include "client/command_line/verb.h"

namespace equipoise {

void add_reproduce_opinions_verb(CLI::App& parent, Action& chosen);

}  // namespace equipoise
