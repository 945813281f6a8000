// The reference policy of a job or an evaluation: its log-probabilities, computed once or taken from the cache.
#pragma once

#include <spdlog/logger.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "common/config/job_config.h"
#include "worker/reference/answer_log_probs.h"
#include "worker/reference/reference_cache.h"

namespace equipoise {

struct ReferenceSettings {
  std::filesystem::path folder;          // of the model
  std::filesystem::path adapter = {};    // of its adapter; empty: none. `loaded` has it attached
  const Decoder* loaded = nullptr;       // the same model where the caller has it; else it is loaded when needed
  torch::Dtype dtype = torch::kFloat32;  // of the arithmetic
  Quantization quantization = Quantization::kNone;
  torch::Device device = torch::kCPU;
  std::int64_t token_budget = 0;         // log_prob_token_budget() of the job's
  std::filesystem::path cache;           // folder of rank 0; empty: nothing is kept
  std::function<void()> on_tensor = {};  // called after each that is read or hashed; may throw
};

class ReferenceModel {
 public:
  // `ranks`, `log` and settings.loaded outlive it.
  ReferenceModel(ReferenceSettings settings, Collective& ranks, spdlog::logger& log);
  ~ReferenceModel();
  ReferenceModel(const ReferenceModel&) = delete;
  ReferenceModel& operator=(const ReferenceModel&) = delete;

  struct Answer {
    AnswerLogProbs values;
    std::filesystem::path entry;  // rank 0: the cache entry they were read from, empty if they were computed
    bool from_data = false;       // they are the data's own, and a few of them were compared with this model's
  };
  // All ranks call it together and get the same. Rank 0 reads and writes the cache, and says in the log which it was;
  // `what` names the pairs: "training data". `on_progress` as in LogProbPass.
  // Pairs that all have a reference's log-probabilities need no pass, once a few of these are what this model says.
  // Throws std::invalid_argument for a model that cannot be loaded or used, or that is not the same on all ranks, and
  // for log-probabilities of the data that are another model's.
  Answer log_probs(const EncodedPairs& pairs, const std::string& what,
                   const std::function<void(std::int64_t)>& on_progress = nullptr);

  // Of the model's files, see model_digest(): the same on all ranks, which call it together.
  Digest digest();

 private:
  const Digest& own_digest();
  void check_given(const EncodedPairs& pairs, const AnswerLogProbs& given, const std::string& what);
  ReferenceCacheEntry entry_for(const EncodedPairs& pairs);
  std::optional<AnswerLogProbs> read(const ReferenceCacheEntry& entry, std::size_t num_pairs, const std::string& what);
  void keep(const ReferenceCacheEntry& entry, const AnswerLogProbs& values, const std::string& what);
  const Decoder& decoder();
  bool is_first() const { return ranks_.info().rank == 0; }

  ReferenceSettings settings_;
  Collective& ranks_;
  spdlog::logger& log_;
  std::optional<Digest> model_digest_;  // rank 0, once it is needed
  std::unique_ptr<Decoder> own_;
};

}  // namespace equipoise
