// resolve_defaults of job_file.h: from the checked settings back to the message, so that a default is stated once.
#include "common/config/data_files_config.h"
#include "common/config/early_stopping_config.h"
#include "common/config/job_config.h"
#include "common/config/job_enums.h"
#include "common/config/job_file.h"
#include "common/config/launch_config.h"
#include "common/config/model_config.h"
#include "common/config/optimizer_config.h"

namespace equipoise {
namespace {

void resolve_loss(const LossConfig& config, v1::LossSpec& spec) {
  spec.set_type(message_enum<v1::LossType>(config.type));
  if (config.type == LossType::kSft) {
    spec.set_sft_average(message_enum<v1::SftAverage>(config.sft_average));
    return;
  }
  spec.set_beta(config.beta);
  if (config.type == LossType::kDpo || config.type == LossType::kRobust) {
    spec.set_label_smoothing(config.label_smoothing);
  }
}

void resolve_step_plateau(const PlateauSettings& plateau, v1::RobustSpec& spec) {
  if (plateau.factor == 1) return;
  spec.set_step_factor(plateau.factor);
  spec.set_step_patience(plateau.patience);
  spec.set_step_threshold(plateau.threshold);
  spec.set_step_minimum(plateau.smallest);
}

void resolve_ambiguity_set(const RobustConfig& config, v1::RobustSpec& spec) {
  const RobustSettings& settings = config.settings;
  spec.set_ambiguity_set(message_enum<v1::AmbiguitySet>(settings.ambiguity_set));
  switch (settings.ambiguity_set) {
    case AmbiguitySet::kSimplex:
      spec.set_step_size(settings.step_size);
      resolve_step_plateau(settings.step_plateau, spec);
      break;
    case AmbiguitySet::kCvar:
      spec.set_kappa(settings.kappa);
      break;
    case AmbiguitySet::kChiSquare:
      spec.set_rho(settings.rho);
      break;
    case AmbiguitySet::kKl:
      spec.set_tau(settings.tau);
      break;
  }
}

// Only what the mode uses: the resolved file says what the run did.
v1::RobustSpec resolved_robust(const RobustConfig& config) {
  v1::RobustSpec spec;
  const RobustSettings& settings = config.settings;
  spec.set_mode(message_enum<v1::RobustMode>(settings.mode));
  if (config.paper_compat) spec.set_paper_compat(true);
  spec.set_weight_sync(message_enum<v1::WeightSync>(config.weight_sync));
  if (config.baseline != Baseline::kNone) spec.set_baseline(message_enum<v1::Baseline>(config.baseline));
  for (const auto& [group, baseline] : config.group_baselines) (*spec.mutable_group_baselines())[group] = baseline;
  if (settings.mode == RobustMode::kNone) return spec;
  spec.set_estimator(message_enum<v1::Estimator>(settings.estimator));
  for (const auto& [group, weight] : config.importance_weights) (*spec.mutable_importance_weights())[group] = weight;
  if (settings.mode != RobustMode::kGroupRobust) return spec;
  resolve_ambiguity_set(config, spec);
  spec.set_update(message_enum<v1::WeightUpdate>(settings.update));
  spec.set_adjustment(settings.adjustment);
  spec.set_trade_off(settings.trade_off);
  spec.set_min_weight(settings.min_weight);
  return spec;
}

void resolve_training(const TrainingConfig& config, v1::TrainingSpec& spec) {
  if (config.max_steps) {
    spec.clear_epochs();  // ignored next to max_steps
  } else {
    spec.set_epochs(config.epochs);
  }
  spec.set_full_batch(config.full_batch);
  if (!config.full_batch) spec.set_global_batch_size(config.global_batch_size);
  spec.set_seed(config.seed);
  spec.set_sampling(message_enum<v1::Sampling>(config.sampling));
  if (config.early_stopping) resolve_early_stopping(*config.early_stopping, *spec.mutable_early_stopping());
}

void resolve_tokens(const DataConfig& config, v1::DataSpec& spec) {
  spec.set_max_length(config.max_length);
  if (config.max_prompt_length) spec.set_max_prompt_length(*config.max_prompt_length);
  spec.set_truncation(message_enum<v1::Truncation>(config.truncation));
  spec.set_tokenization(message_enum<v1::Tokenization>(config.tokenization));
  spec.set_token_cache(config.token_cache);
  resolve_data_files(config, spec);
}

// What only one kind of policy has.
void resolve_policy(const JobConfig& config, v1::JobSpec& spec) {
  if (!config.log_linear) {
    spec.mutable_model()->set_dtype(message_enum<v1::DType>(config.model.dtype));
    spec.mutable_model()->set_quantization(message_enum<v1::Quantization>(config.model.quantization));
    if (config.model.lora) resolve_lora(*config.model.lora, *spec.mutable_model()->mutable_lora());
    resolve_tokens(config.data, *spec.mutable_data());
    spec.mutable_training()->set_micro_batch_tokens(config.training.micro_batch_tokens);
    spec.mutable_training()->set_gradient_checkpointing(config.training.gradient_checkpointing);
    spec.mutable_loss()->set_length_normalized(config.loss.length_normalized);
    spec.mutable_loss()->set_reference_free(config.loss.reference_free);
    const bool has_reference = config.loss.type != LossType::kSft && !config.loss.reference_free;
    if (has_reference) spec.mutable_model()->set_reference_cache(config.model.reference_cache);
    if (config.loss.type != LossType::kSft) spec.mutable_loss()->set_sft_weight(config.loss.sft_weight);
    return;
  }
  v1::LogLinearSpec& policy = *spec.mutable_policy()->mutable_log_linear();
  const auto& theta_D = config.log_linear->problem.initial_theta_D;
  policy.mutable_initial_theta()->Assign(theta_D.begin(), theta_D.end());
  policy.set_closed_form(config.log_linear->closed_form);
  policy.set_ridge(config.log_linear->ridge);
  policy.set_projection_radius(config.log_linear->projection_radius);
}

}  // namespace

v1::JobSpec resolve_defaults(const v1::JobSpec& spec) {
  const JobConfig config = make_job_config(spec);
  v1::JobSpec resolved = spec;
  resolved.mutable_data()->set_shuffle(config.data.shuffle);
  resolve_loss(config.loss, *resolved.mutable_loss());
  *resolved.mutable_robust() = resolved_robust(config.robust);
  resolve_optimizer(config.optimizer, *resolved.mutable_optimizer());
  resolve_training(config.training, *resolved.mutable_training());
  resolve_policy(config, resolved);
  resolved.mutable_evaluation()->set_every_steps(config.evaluation_every_steps);
  if (config.logging.at_steps.empty()) resolved.mutable_logging()->set_every_steps(config.logging.every_steps);
  resolve_launch(config.launch, *resolved.mutable_launch());
  resolved.set_overwrite(config.overwrite);
  return resolved;
}

}  // namespace equipoise
