// log pi of both answers of every pair of a data set, computed by all ranks together.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "worker/collective/collective.h"
#include "worker/data/packed_batch.h"
#include "worker/model/decoder.h"

namespace equipoise {

// Sums over answer tokens. Both are empty where there is no reference.
struct AnswerLogProbs {
  std::vector<double> chosen_N;
  std::vector<double> rejected_N;
};

// One pass over `pairs`.
struct LogProbPass {
  const EncodedPairs& pairs;
  std::int64_t token_budget;  // of one forward pass, see log_prob_token_budget()
  Collective& ranks;
  std::string whose;                                        // "the reference model", in error messages
  std::function<void(std::int64_t)> on_progress = nullptr;  // percent of this rank's part that is done; may throw
};

// The micro-batches are cut from the whole data set and each rank takes consecutive ones, about as many tokens as the
// others: so the result does not depend on the number of ranks, to the bit where threads do not change a matrix
// product. Every rank gets all of it. No gradient is kept.
// Throws std::invalid_argument if a log-probability is not finite.
AnswerLogProbs compute_log_probs(const Decoder& decoder, const LogProbPass& pass);

// Tokens of one forward pass without gradient: few enough for any memory that trains with `micro_batch_tokens`, and
// the same for all jobs with 4096 or more, so that they get the same bits.
std::int64_t log_prob_token_budget(std::int64_t micro_batch_tokens);

// The micro-batches of a rank, which follow each other; perhaps none. `tokens_M` are those of each of all M. Exposed
// for its test.
struct MicroBatchRange {
  std::size_t first = 0, count = 0;
};
MicroBatchRange part_of_rank(std::span<const std::int64_t> tokens_M, RankInfo info);

}  // namespace equipoise
