#include "worker/evaluate/evaluation_run.h"

#include <optional>
#include <stdexcept>
#include <utility>

#include "common/base/activity_file.h"
#include "common/base/cache_folder.h"
#include "common/base/error.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/config/job_config.h"
#include "common/config/job_file.h"
#include "worker/collective/broadcast.h"
#include "worker/evaluate/evaluated_pairs.h"
#include "worker/language_model/training_data.h"
#include "worker/model/torch_dtype.h"
#include "worker/model/wide_type.h"
#include "worker/objective/labels.h"
#include "worker/objective/pair_loss.h"
#include "worker/reference/reference_model.h"

namespace equipoise {
namespace {

// Rank 0 reads the request, everybody gets it.
JobConfig shared_request(const EvaluationContext& context) {
  v1::JobSpec spec;
  if (context.host.info().rank == 0) spec = read_job_file(context.files.request, {});
  broadcast_message(spec, 0, context.host);
  return make_job_config(spec);
}

torch::Tensor to_tensor(const std::vector<double>& values_N, torch::Dtype dtype) {
  return torch::tensor(values_N, torch::kFloat64).to(dtype);
}

PairLogProbs to_tensors(const AnswerLogProbs& values, torch::Dtype dtype) {
  return {.chosen_B = to_tensor(values.chosen_N, dtype), .rejected_B = to_tensor(values.rejected_N, dtype)};
}

std::vector<double> to_numbers(const torch::Tensor& values_N) {
  const torch::Tensor wide_N = values_N.to(torch::kFloat64).contiguous();
  return {wide_N.const_data_ptr<double>(), wide_N.const_data_ptr<double>() + wide_N.numel()};
}

PairTraits traits_of(const EncodedDataset& data, const LabelNoise& label_noise, torch::Dtype dtype) {
  std::vector<std::int64_t> tokens;
  std::vector<double> noise;
  for (const EncodedPair pair : data.pairs) {
    tokens.push_back(static_cast<std::int64_t>(pair.chosen_ids.size()));
    tokens.push_back(static_cast<std::int64_t>(pair.rejected_ids.size()));
    noise.push_back(label_noise.of(pair.memberships));
  }
  PairTraits traits{.answer_tokens_B2 = torch::tensor(tokens, torch::kInt64).view({-1, 2}), .label_noise_B = {}};
  if (label_noise.is_corrected()) traits.label_noise_B = to_tensor(noise, dtype);
  return traits;
}

class EvaluationRun {
 public:
  EvaluationRun(const EvaluationContext& context, const JobConfig& config)
      : context_(context),
        config_(config),
        dtype_(torch_dtype(config.model.dtype)),
        activity_(is_first() ? context.files.activity : std::filesystem::path()) {}

  void run() {
    check_checkpoints();
    activity_.tell({.name = "reading data", .percent = 0});
    const EvaluationData read = load_evaluation_data(config_, context_.threads);
    const EncodedDataset& data = read.pairs;
    if (is_first()) {
      for (const std::string& note : read.notes) context_.log.warn("{}", note);
    }
    check_same_on_all_ranks(context_.host, dataset_digest(data), "data or tokenizer");
    const LabelNoise label_noise(config_.loss, data.group_names);
    EvaluatedPairs pairs{.data = data,
                         .rejected = is_sft() ? RejectedAnswers::kNone : RejectedAnswers::kScored,
                         .policy = {},
                         .reference = reference_log_probs(data),
                         .loss_N = {},
                         .chosen_reward_N = {},
                         .rejected_reward_N = {}};
    pairs.policy = policy_log_probs(data);
    if (!is_first()) return;
    score(pairs, label_noise);
    activity_.tell({.name = "writing", .percent = 100});
    write_pairs(pairs, context_.files.pairs);
    write_summary(pairs, context_.files.summary);
  }

 private:
  bool is_first() const { return context_.host.info().rank == 0; }
  bool is_sft() const { return config_.loss.type == LossType::kSft; }

  void check_checkpoints() const {
    if (!is_first()) return;
    const ModelConfig& model = config_.model;
    for (const auto& folder : {std::optional(model.path), model.reference, model.adapter}) {
      const std::string fault = folder ? fault_of_model(*folder) : "";
      if (!fault.empty()) throw std::invalid_argument(fault);
    }
  }

  std::function<void(std::int64_t)> progress_of(const std::string& name) {
    activity_.tell({.name = name, .percent = 0});
    return [this, name](std::int64_t percent) { activity_.tell({.name = name, .percent = percent}); };
  }

  // One model is in memory at a time.
  AnswerLogProbs reference_log_probs(const EncodedDataset& data) {
    if (is_sft() || config_.loss.reference_free) {
      if (is_first() && data.fields.has("ref_chosen_logps")) {
        context_.log.warn("fields ref_chosen_logps and ref_rejected_logps are not used: there is no reference");
      }
      return {};
    }
    ReferenceModel reference({.folder = config_.model.reference.value_or(config_.model.path),
                              .dtype = dtype_,
                              .device = context_.device,
                              .token_budget = log_prob_token_budget(config_.training.micro_batch_tokens),
                              .cache = config_.model.reference_cache ? cache_folder() : std::filesystem::path()},
                             context_.host, context_.log);
    return reference.log_probs(data.pairs, "data", progress_of("reference log-probs")).values;
  }

  AnswerLogProbs policy_log_probs(const EncodedDataset& data) {
    const auto on_progress = progress_of("policy log-probs");
    Decoder policy = Decoder::load(config_.model.path, dtype_, context_.device);
    check_same_on_all_ranks(context_.host, parameter_digest(policy.parameters()), "model");
    if (const auto& folder = config_.model.adapter) {
      policy.attach(load_adapter(*folder, policy.config(), dtype_, context_.device));
      check_same_on_all_ranks(context_.host, parameter_digest(policy.trained()), "adapter");
    }
    return compute_log_probs(policy, {.pairs = data.pairs,
                                      .token_budget = log_prob_token_budget(config_.training.micro_batch_tokens),
                                      .ranks = context_.host,
                                      .whose = "the model",
                                      .on_progress = on_progress});
  }

  void score(EvaluatedPairs& pairs, const LabelNoise& label_noise) const {
    const LossConfig& loss = config_.loss;
    const torch::Dtype wide = wide_type(dtype_);
    const PairLogProbs policy = to_tensors(pairs.policy, wide);
    const PairLogProbs reference = to_tensors(pairs.reference, wide);
    pairs.loss_N = to_numbers(pair_losses(loss, policy, reference, traits_of(pairs.data, label_noise, wide)).loss_B);
    const PairRewards rewards = pair_rewards(loss, policy, reference);
    pairs.chosen_reward_N = to_numbers(rewards.chosen_B);
    pairs.rejected_reward_N = to_numbers(rewards.rejected_B);
  }

  const EvaluationContext& context_;
  const JobConfig& config_;
  torch::Dtype dtype_;
  ActivityFile activity_;
};

}  // namespace

void run_evaluation(const EvaluationContext& context) {
  const JobConfig config = shared_request(context);
  EvaluationRun(context, config).run();
}

}  // namespace equipoise
