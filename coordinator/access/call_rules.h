// Which role each call needs: the one place that says it. A call that is not here is refused to everybody.
#pragma once

#include <span>
#include <string_view>

#include "coordinator/access/principal.h"

namespace equipoise::coordinator {

enum class CallKind {
  kAnswer,  // one answer, soon
  kStream,  // answers until the caller leaves
  kRank,    // of a rank, which the attempt's token may stand for; else as the role says
};

struct CallRule {
  std::string_view method;  // "TrainingJobService/GetTrainingJob"
  Role least = Role::kAdmin;
  CallKind kind = CallKind::kAnswer;
};

std::span<const CallRule> call_rules();
// Null: no such call.
const CallRule* rule_of(std::string_view method);

}  // namespace equipoise::coordinator
