// Whether the reference is the policy: the log-probabilities that a run is to use, compared on a few pairs with what
// the policy says of them.
#pragma once

#include <span>
#include <string>

#include "worker/reference/answer_log_probs.h"

namespace equipoise {

struct ProbeResult {
  std::size_t pairs = 0;       // compared
  bool is_same = true;         // no answer's two log-probs differ by more than rounding explains
  bool is_close = true;        // nor by more than another program's arithmetic explains, which may be a narrower one
  double mean_difference = 0;  // |log pi - log pi_ref| of an answer, in nats
  double largest_difference = 0;
  std::size_t largest_pair = 0;  // where, as a position in the pairs, with
  double policy_logp = 0;        // its log pi
  double reference_logp = 0;     // and its log pi_ref
};

// Compares at most 12 pairs: 8 spread evenly over `pairs`, and those whose answers have the lowest and the highest
// log-prob per token. `reference` is of all of them. One rank is enough.
// Rounding: 1e-9 (float64), 1e-4 (float32), 2e-2 (narrower types) for each token and each nat of the log-prob; of
// another program's, if that is more, 0.02 times the root of the number of tokens, and 1e-3 for each nat.
ProbeResult probe_reference(const Decoder& policy, const EncodedPairs& pairs, const AnswerLogProbs& reference,
                            std::int64_t token_budget);

// "the log-probability of an answer of pair 17 is -35.2 by the policy and -34.1 by the reference".
std::string largest_difference_text(const ProbeResult& probe);

}  // namespace equipoise
