// The reference's log-probabilities of a job's pairs, at its start: read or computed, then compared with the policy.
#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <optional>

#include "common/base/sha256.h"
#include "common/config/job_config.h"
#include "worker/language_model/training_data.h"
#include "worker/reference/reference_model.h"

namespace equipoise {

// Of training and validation pairs; empty where the loss has no reference.
struct References {
  AnswerLogProbs train, validation;
  std::optional<Digest> named = std::nullopt;  // of model.reference; absent: there is none, or nobody asks it
};

struct StartReferences {
  const JobConfig& config;
  const Decoder& policy;  // as it is before the first step
  const TrainingData& data;
  Collective& host;
  spdlog::logger& log;
  std::function<void(std::int64_t)> on_progress = nullptr;  // percent of a pass that is done
  std::function<void()> on_tensor = nullptr;                // of the reference, that was read or hashed
};

// Whether the reference has the policy's weights at the start: a new adapter changes nothing yet.
bool starts_at_reference(const ModelConfig& model);

// Whether the rows say the reference's log-probabilities, which are then used as they are from the first step on.
bool has_own_reference(const EncodedDataset& dataset);

// All ranks call it together. Where model.reference is absent the reference is the policy as it is now: log-probs that
// differ from the policy's on a probe are refused. Where it is named the difference goes to the log. Log-probs of the
// data itself are compared with the reference in either case, see ReferenceModel.
// Throws std::invalid_argument saying what differs and which file of the cache it came from.
References start_references(const StartReferences& start);

}  // namespace equipoise
