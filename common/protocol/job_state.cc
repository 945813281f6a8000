#include "common/protocol/job_state.h"

#include <string_view>

namespace equipoise {

bool is_final(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED || state == v1::JOB_STATE_CANCELLED;
}

std::string state_name(v1::JobState state) {
  constexpr std::string_view kPrefix = "JOB_STATE_";
  const std::string& name = v1::JobState_Name(state);
  return name.empty() ? std::to_string(static_cast<int>(state)) : name.substr(kPrefix.size());
}

}  // namespace equipoise
