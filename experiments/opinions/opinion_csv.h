// The numbers behind the report of the language-model experiment, as CSV. Numbers read back to the same bits.
#pragma once

#include <span>
#include <string>

#include "experiments/opinions/opinion_results.h"
#include "experiments/report/claim.h"

namespace equipoise::reproduce {

// Per method (SFT too), seed, evaluation and group: what metrics.jsonl says of the validation pairs. SFT has no
// accuracies.
std::string opinion_evaluations_csv(const OpinionResults& results);
// Per method, seed, step and group: alpha after the step.
std::string opinion_weights_csv(const OpinionResults& results);
// Per method and measure: the end of the runs over seeds.
std::string opinion_summary_csv(const OpinionResults& results);
std::string opinion_claims_csv(std::span<const Claim> claims);

}  // namespace equipoise::reproduce
