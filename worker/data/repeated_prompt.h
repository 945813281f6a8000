// Answers that hold the prompt once more.
#pragma once

#include "common/dataset/preference_pair.h"
#include "worker/data/encode_settings.h"

namespace equipoise {

// Whether every answer begins with the prompt, which stands before it anyhow: of messages with all of the prompt's or
// its last ones, of texts with all of it where it has 16 bytes or more.
bool repeats_prompt(const PreferencePair& pair, Answers answers);

}  // namespace equipoise
