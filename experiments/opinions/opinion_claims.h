// The paper's qualitative claims about its language-model experiment (section 5.2 and the limitations of section 6),
// and the rules by which the results hold them or not. The rules know no result.
#pragma once

#include <vector>

#include "experiments/opinions/opinion_results.h"
#include "experiments/report/claim.h"

namespace equipoise::reproduce {

// A finding for each of kFamilies. Needs at least two seeds.
std::vector<Claim> judge_opinions(const OpinionResults& results);

}  // namespace equipoise::reproduce
