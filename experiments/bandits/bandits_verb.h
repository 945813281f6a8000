// `equipoise reproduce bandits`: the paper's synthetic experiments.
#pragma once

#include "client/command_line/verb.h"

namespace equipoise {

void add_reproduce_bandits_verb(CLI::App& parent, Action& chosen);

}  // namespace equipoise
