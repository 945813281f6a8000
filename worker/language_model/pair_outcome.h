// What a forward pass says of one pair, and the means that are taken of it.
#pragma once

#include <optional>

namespace equipoise {

// Of the scored tokens of both answers, summed over them.
struct TokenSums {
  double chosen_tokens = 0, rejected_tokens = 0;
  double entropy = 0;          // of both answers: -sum_v p_v log p_v, in nats
  double chosen_logits = 0;    // mean over the vocabulary of the logits, TRL's logits/chosen
  double rejected_logits = 0;  // the same
  double chosen_first = 0;     // tokens of the chosen answer that are the likeliest one
};

// One pair's numbers, without graph.
struct PairOutcome {
  double loss = 0;
  double chosen_reward = 0;  // beta * (log pi - log pi_ref); 0 for SFT
  double rejected_reward = 0;
  double chosen_logp = 0;
  double rejected_logp = 0;
  double nll = 0;                                   // -log pi of the chosen answer per token, with an SFT term; else 0
  double tokens = 0;                                // processed: prompt and answers
  double sequence_tokens = 0;                       // prompt and answer of each, TRL's num_tokens
  std::optional<TokenSums> answers = std::nullopt;  // where they are looked at
};

enum class Measure {
  // Over pairs.
  kLoss,
  kNll,
  kChosenReward,
  kRejectedReward,
  kCorrect,  // the chosen reward is above the rejected one, strictly
  kMargin,
  kChosenLogp,
  kRejectedLogp,
  kLogpCorrect,
  // Over scored tokens: of both answers, of the chosen one, of the chosen one, of the rejected one.
  kEntropy,
  kTokenAccuracy,
  kChosenLogits,
  kRejectedLogits,
  kMeasures
};

}  // namespace equipoise
