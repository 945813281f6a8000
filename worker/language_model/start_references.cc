#include "worker/language_model/start_references.h"

#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "common/base/cache_folder.h"
#include "worker/model/decoder_config.h"
#include "worker/reference/reference_probe.h"

namespace equipoise {
namespace {

bool uses_reference(const LossConfig& loss) { return loss.type != LossType::kSft && !loss.reference_free; }

// The pairs' ids must mean the same to both. Read from config.json, as a reference in the cache is not loaded.
void check_vocabulary(const ModelConfig& model, const Decoder& policy) {
  if (!model.reference) return;
  const std::int64_t theirs = read_decoder_config(*model.reference / "config.json").vocab_size;
  const std::int64_t ours = policy.config().vocab_size;
  if (theirs == ours) return;
  throw std::invalid_argument("model.reference " + model.reference->string() + " has a vocabulary of " +
                              std::to_string(theirs) + ", model.path of " + std::to_string(ours) +
                              ": they must share the tokenizer");
}

ReferenceSettings settings_of(const StartReferences& start) {
  const ModelConfig& model = start.config.model;
  return {.folder = model.reference.value_or(model.path),
          .adapter = model.reference ? std::filesystem::path() : model.adapter.value_or(std::filesystem::path()),
          .loaded = model.reference ? nullptr : &start.policy,
          .dtype = start.policy.head_weight().scalar_type(),
          .quantization = model.quantization,
          .device = start.policy.head_weight().device(),
          .token_budget = log_prob_token_budget(start.config.training.micro_batch_tokens),
          .cache = model.reference_cache ? cache_folder() : std::filesystem::path(),
          .on_tensor = start.on_tensor};
}

void refuse_other_reference(const ProbeResult& probe, const std::filesystem::path& entry) {
  const std::string remedy =
      entry.empty() ? "" : ". They came from " + entry.string() + ": remove it, or set model.reference_cache: false";
  throw std::invalid_argument("model.reference is absent, so that the reference is the policy at the start, but " +
                              largest_difference_text(probe) + remedy);
}

class Starter {
 public:
  explicit Starter(const StartReferences& start)
      : start_(start), reference_(settings_of(start), start.host, start.log) {}

  AnswerLogProbs log_probs(const EncodedDataset& dataset, const std::string& what) {
    if (dataset.pairs.empty()) return {};
    auto [values, entry, from_data] = reference_.log_probs(dataset.pairs, what, start_.on_progress);
    // One rank is enough, and the first one knows where the numbers came from. Those of the data have been compared
    // with the reference, which is the policy where none is named.
    if (from_data && start_.host.info().rank == 0) warn_of_cut_pairs(dataset, what);
    const bool is_compared = from_data && !start_.config.model.reference;
    if (start_.host.info().rank == 0 && !is_compared) compare(dataset, values, what, entry);
    return std::move(values);
  }

  std::optional<Digest> digest_of_named() {
    if (!start_.config.model.reference) return std::nullopt;
    return reference_.digest();
  }

 private:
  void compare(const EncodedDataset& dataset, const AnswerLogProbs& values, const std::string& what,
               const std::filesystem::path& entry) const {
    const std::int64_t budget = log_prob_token_budget(start_.config.training.micro_batch_tokens);
    const ProbeResult probe = probe_reference(start_.policy, dataset.pairs, values, budget);
    if (!start_.config.model.reference) {
      if (!probe.is_same) refuse_other_reference(probe, entry);
    } else if (probe.is_same) {
      start_.log.info("the reference is the policy at the start on {} pairs of the {}", probe.pairs, what);
    } else {
      start_.log.info(
          "policy and reference differ on {} pairs of the {}: log-probs of an answer by {:.4g} on average, by {:.4g} at"
          " most",
          probe.pairs, what, probe.mean_difference, probe.largest_difference);
    }
  }

  // Whoever computed the data's own log-probs may not have cut the same pairs at the same place.
  void warn_of_cut_pairs(const EncodedDataset& dataset, const std::string& what) const {
    if (dataset.num_shortened == 0) return;
    start_.log.warn(
        "pairs of the {} that are cut to data.max_length: {}; their ref_chosen_logps and ref_rejected_logps must be "
        "those of the cut answers",
        what, dataset.num_shortened);
  }

  const StartReferences& start_;
  ReferenceModel reference_;
};

}  // namespace

bool starts_at_reference(const ModelConfig& model) {
  std::error_code ignored;
  return !model.reference || (!model.adapter && std::filesystem::equivalent(*model.reference, model.path, ignored));
}

bool has_own_reference(const EncodedDataset& dataset) {
  return !dataset.pairs.empty() && dataset.pairs[0].reference.has_value();
}

References start_references(const StartReferences& start) {
  if (!uses_reference(start.config.loss)) {
    const bool has_own = has_own_reference(start.data.train) || has_own_reference(start.data.validation);
    if (has_own && start.host.info().rank == 0) {
      start.log.warn("fields ref_chosen_logps and ref_rejected_logps are not used: this loss has no reference");
    }
    return {};
  }
  check_vocabulary(start.config.model, start.policy);
  Starter starter(start);
  AnswerLogProbs train = starter.log_probs(start.data.train, "training data");
  AnswerLogProbs validation = starter.log_probs(start.data.validation, "validation data");
  return {.train = std::move(train), .validation = std::move(validation), .named = starter.digest_of_named()};
}

}  // namespace equipoise
