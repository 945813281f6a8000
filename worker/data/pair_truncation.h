// A pair's token ids, cut to the lengths a job allows.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "worker/data/encode_settings.h"
#include "worker/data/encoded_pairs.h"

namespace equipoise {

struct PairIds {
  std::vector<std::int32_t> prompt, chosen;
  std::optional<std::vector<std::int32_t>> rejected;
  bool merged = false;  // tokens of the prompt's end are none of it, as they are others with an answer behind them

  std::size_t longest_answer() const;
};

// What became of a pair.
struct Truncated {
  bool shortened = false;  // it has lost tokens
  std::optional<DropCause> dropped = {};
};

// L = max_length, P = max_prompt_length, m = tokens of the longer answer. After a cut prompt+answer has at most L
// tokens.
//   TRL       a prompt of more than P tokens keeps its first (keep_start) or last (keep_end) P. Then keep_start: a
//   prompt
//             of L or more is dropped, answers keep their first L - prompt. keep_end: the prompt keeps its last
//             max(L - m, 1), answers their first L - prompt.
//   authors   where prompt + m > L the prompt is cut to P, and where it still is, answers keep their first L - P.
//   drop      a prompt of more than P (TRL) or a pair with prompt + m > L is dropped, nothing is cut.
Truncated truncate_pair(const EncodeSettings& settings, PairIds& ids);

}  // namespace equipoise
