#include "common/protocol/rank_phase.h"

namespace equipoise {

std::string phase_name(v1::RankPhase phase) {
  switch (phase) {
    case v1::RANK_PHASE_STARTING:
      return "starting";
    case v1::RANK_PHASE_READING_DATA:
      return "reading data";
    case v1::RANK_PHASE_LOADING_MODEL:
      return "loading model";
    case v1::RANK_PHASE_REFERENCE_LOG_PROBS:
      return "reference log-probs";
    case v1::RANK_PHASE_TRAINING:
      return "training";
    case v1::RANK_PHASE_EVALUATING:
      return "evaluating";
    case v1::RANK_PHASE_SAVING:
      return "saving";
    case v1::RANK_PHASE_CHECKPOINT:
      return "saving checkpoint";
    default:
      return "?";
  }
}

}  // namespace equipoise
