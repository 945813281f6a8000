#include "worker/train/training_run.h"

#include <chrono>
#include <memory>
#include <utility>

#include "common/config/loss_config.h"
#include "worker/model/model_folder.h"
#include "worker/model/torch_dtype.h"
#include "worker/train/best_parameters.h"
#include "worker/train/device_advice.h"
#include "worker/train/early_stopping.h"
#include "worker/train/evaluation.h"
#include "worker/train/gradient_buckets.h"
#include "worker/train/group_absence.h"
#include "worker/train/logged_steps.h"
#include "worker/train/run_output.h"
#include "worker/train/run_report.h"
#include "worker/train/start_references.h"

namespace equipoise {
namespace {

// 25 MiB hides the latency of a collective on every network and leaves enough buckets to overlap with the backward
// pass.
constexpr std::size_t kBucketBytes = std::size_t{25} << 20;

// More groups than a log should name; data.json has all of them.
constexpr std::size_t kMostLossLines = 10;

// A phase that is over sooner needs no percentage.
constexpr std::chrono::seconds kBetweenProgress{5};

class TrainingRun {
 public:
  // `output`: of rank 0; null on the others.
  TrainingRun(const RunContext& context, const JobConfig& config, std::unique_ptr<RunOutput> output)
      : context_(context),
        config_(config),
        output_(std::move(output)),
        data_(load_data()),
        label_noise_(config.loss, data_.train.group_names),
        policy_(load_policy()),
        started_(start()),
        weights_(context.client, context.registration.attempt, started_.alpha_K),
        cursor_(plan_, data_.strata),
        watch_(config.training.early_stopping, context.host) {}

  void run() {
    references_ = compute_references();
    if (config_.training.gradient_checkpointing) policy_.recompute_layers();
    if (is_first()) {
      output_->prepare(context_.registration.spec, plan_);
      write_data_report(config_.output / "data.json", data_.train_files, data_.validation_files);
      report_ = std::make_unique<RunReport>(context_.client, context_.log, context_.registration.attempt, weights_,
                                            config_.output / "metrics.jsonl", config_, data_);
      for (const char* name : {"data.json", "metrics.jsonl"}) output_->watch(name);
    }
    const TrainingEnd end = train();
    // Before anything is saved: ranks that have drifted apart have trained no model.
    const auto digest = parameter_digest(policy_.trained());
    check_same_on_all_ranks(context_.host, digest, "set of trained parameters");
    save();
    output_.reset();
    finish_rank(context_.client, context_.registration.attempt, context_.host.info().rank, end, digest);
  }

 private:
  bool is_first() const { return context_.host.info().rank == 0; }

  TrainingData load_data() {
    context_.heartbeat.set_phase("reading data");
    return load_training_data(config_, context_.threads);
  }

  // One rank of each machine says it: its devices are alike.
  void advise() const {
    if (context_.local.info().rank != 0) return;
    const DeviceCollective& device = *context_.device;
    const std::string name = device.device.str();
    if (!device.name.empty()) context_.log.info("device {}: {}", name, device.name);
    const std::size_t free = free_memory(device, context_.local.info());
    const MemoryEstimate estimate = estimate_memory(config_, context_.host.info().world_size);
    for (const std::string& warning :
         {memory_warning(estimate, free, name, config_), dtype_warning(config_.model.dtype, name)}) {
      if (!warning.empty()) context_.log.warn("{}", warning);
    }
  }

  Decoder load_policy() const {
    advise();
    const ModelConfig& model = config_.model;
    const torch::Dtype dtype = torch_dtype(model.dtype);
    Decoder policy = Decoder::load(model.path, dtype, context_.device->device, model.quantization);
    if (model.lora) {
      policy.attach(new_adapter(policy.config(), *model.lora, config_.training.seed, dtype, context_.device->device));
    } else if (model.adapter) {
      LoraAdapter adapter = load_adapter(*model.adapter, policy.config(), dtype, context_.device->device);
      if (is_first() && adapter.settings.dropout != model.adapter_dropout) {
        context_.log.info("the adapter was trained with lora_dropout {}; this job trains it with model.lora.dropout {}",
                          adapter.settings.dropout, model.adapter_dropout);
      }
      adapter.settings.dropout = model.adapter_dropout;
      policy.attach(std::move(adapter));
    }
    return policy;
  }

  void log_file(const FileReading& file) const {
    context_.log.info("{}", reading_line(file));
    for (const std::string& note : file.notes) context_.log.warn("{}", note);
    for (const auto& line : loss_lines(file, config_.data.max_length, kMostLossLines)) context_.log.warn("{}", line);
    for (const auto& line : prompt_lines(file)) context_.log.warn("{}", line);
  }

  void log_absence() const {
    if (!suffers_from_absence(config_.robust.settings, config_.training)) return;
    std::vector<std::span<const Membership>> memberships_N;
    for (const EncodedPair pair : data_.train.pairs) memberships_N.push_back(pair.memberships);
    const auto probability_K =
        absence_K(memberships_N, data_.strata, config_.training.global_batch_size, data_.num_groups());
    const std::string line = absence_line(data_.train.group_names, probability_K);
    if (!line.empty()) context_.log.warn("{}", line);
  }

  // Before anything expensive.
  void check_early_stopping() const {
    const auto& stopping = config_.training.early_stopping;
    if (!stopping || data_.validation.pairs.empty()) return;
    const LineSettings settings = line_settings(config_, data_);
    EvaluationNumbers numbers = expected_numbers(settings, data_.validation.pair_count_K);
    for (std::size_t f = 0; f < data_.validation_names.size(); ++f) {
      numbers.merge(expected_file_numbers(settings, data_.validation_names[f], data_.validation_counts_FK[f]));
    }
    check_metric(*stopping, numbers);
  }

  StartedTraining start() {
    if (is_first()) {
      for (const FileReading& file : data_.train_files) log_file(file);
      for (const FileReading& file : data_.validation_files) log_file(file);
      log_absence();
      for (const std::string& sentence : differences_from_trl(config_.loss)) context_.log.info("{}", sentence);
    }
    check_early_stopping();
    check_same_on_all_ranks(context_.host, dataset_digest(data_.validation), "validation data");
    check_same_on_all_ranks(context_.host, parameter_digest(policy_.parameters()), "model");
    if (policy_.adapter()) check_same_on_all_ranks(context_.host, parameter_digest(policy_.trained()), "adapter");
    return start_training(context_.client, context_.registration.attempt, summary_of(data_), context_.host);
  }

  References compute_references() {
    const std::string phase = "reference log-probs";
    context_.heartbeat.set_phase(phase);
    auto said = std::chrono::steady_clock::now();
    const auto on_progress = [&](std::int64_t percent) {
      context_.heartbeat.check();
      const auto now = std::chrono::steady_clock::now();
      if (now - said < kBetweenProgress) return;
      said = now;
      context_.heartbeat.set_phase(phase + ", " + std::to_string(percent) + " %");
    };
    return start_references({.config = config_,
                             .policy = policy_,
                             .data = data_,
                             .host = context_.host,
                             .log = context_.log,
                             .on_progress = on_progress});
  }

  TrainingEnd train() {
    GradientBuckets gradients(policy_.trained(), context_.device->collective(context_.host), kBucketBytes);
    Optimizer optimizer(config_.optimizer, policy_.trained(), plan_.end_step);
    const GroupSizes sizes = estimator_sizes(config_.robust.settings.estimator,
                                             {data_.counted_K, static_cast<double>(data_.train.pairs.size())},
                                             {data_.train.pair_count_K, data_.num_pairs});
    StepParts parts{.inputs = inputs(data_.train, references_.train, data_.train_weight_N),
                    .robust = config_.robust.settings,
                    .group_pair_count_K = sizes.pair_count_K,
                    .micro_batch_tokens = config_.training.micro_batch_tokens,
                    .cursor = cursor_,
                    .host = context_.host,
                    .gradients = gradients,
                    .optimizer = optimizer,
                    .weights =
                        [this](std::int64_t step, const GroupSums& sums, const std::vector<std::uint32_t>& non_finite) {
                          return weights_.step(step, sums, non_finite);
                        },
                    .is_logged = [this](std::int64_t step) { return is_logged(config_.logging, step + 1); },
                    .num_pairs = sizes.num_pairs,
                    .dropout_seed = dropout_seed()};
    TrainingEnd end{.final_step = plan_.end_step};
    evaluate(plan_.first_step, optimizer);
    context_.heartbeat.set_phase("training");
    for (std::int64_t step = plan_.first_step; step < end.final_step; ++step) {
      context_.heartbeat.check();
      const StepResult result = train_step(parts, step);
      if (!result.skipped && result.learning_rate > 0) policy_is_reference_ = parts.inputs.policy_is_reference = false;
      context_.heartbeat.set_step(step + 1);
      if (result.skipped) ++skipped_steps_;
      if (report_) report_->step_done(position(step + 1), result);
      if (output_) output_->check();
      if (!is_evaluation_step(step + 1)) continue;
      const auto stop = evaluate(step + 1, optimizer);
      if (stop && step + 1 < plan_.end_step) end = {.final_step = step + 1, .stopped_early = stop};
      context_.heartbeat.set_phase("training");
    }
    if (report_) report_->finish();
    const std::int64_t steps = end.final_step - plan_.first_step;
    if (steps > 0 && skipped_steps_ == steps) {
      throw std::runtime_error("none of " + std::to_string(steps) +
                               " steps could be applied: a loss or the gradient was not finite in each of them");
    }
    return end;
  }

  std::optional<std::uint64_t> dropout_seed() const {
    if (!policy_.adapter() || policy_.adapter()->settings.dropout == 0) return std::nullopt;
    return config_.training.seed;
  }

  bool is_evaluation_step(std::int64_t steps_done) const {
    if (steps_done == plan_.end_step) return true;
    return config_.evaluation_every_steps > 0 && steps_done % config_.evaluation_every_steps == 0;
  }

  // Set: training ends here.
  std::optional<v1::EarlyStop> evaluate(std::int64_t steps_done, Optimizer& optimizer) {
    if (data_.validation.pairs.empty()) return std::nullopt;
    context_.heartbeat.set_phase("evaluating");
    const ForwardInputs validation = inputs(data_.validation, references_.validation, data_.validation_weight_N);
    const EvaluationSums sums =
        evaluate_files(validation, data_.validation.group_names.size(), config_.training.micro_batch_tokens,
                       data_.validation_pairs_F, context_.host);
    const EvaluationNumbers numbers = report_ ? report_->evaluated(position(steps_done), sums) : EvaluationNumbers();
    const EvaluationVerdict verdict = watch_.judge(steps_done, numbers);
    optimizer.observe_evaluation(verdict.worst_group_loss);
    const auto& stopping = config_.training.early_stopping;
    if (is_first() && verdict.is_best && stopping && stopping->keep_best) best_.keep(policy_.trained());
    return verdict.stop;
  }

  void save() {
    context_.heartbeat.set_phase("saving");
    if (!is_first()) return;
    output_->check_now();
    best_.put_back(policy_.trained());
    const auto folder = config_.output / "final";
    if (policy_.adapter()) {
      save_adapter(*policy_.adapter(), config_.model.path, folder);
    } else {
      save_model(policy_, config_.model.path, folder);
    }
    if (const auto& adapter = config_.model.adapter) {
      copy_chat_templates(*adapter, folder);
      copy_adapter_terms(*adapter, folder);
    }
    if (const auto& file = config_.model.chat_template) put_chat_template(*file, folder);
    output_->watch("final");
    output_->discard_previous();
  }

  ForwardInputs inputs(const EncodedDataset& dataset, const AnswerLogProbs& reference,
                       std::span<const double> weight_N) const {
    return {.decoder = policy_,
            .loss = config_.loss,
            .pairs = dataset.pairs,
            .reference = reference,
            .label_noise = &label_noise_,
            .policy_is_reference = policy_is_reference_ && !has_own_reference(dataset),
            .weight_N = weight_N};
  }

  LinePosition position(std::int64_t steps_done) const {
    return {.step = steps_done, .epoch = cursor_.epochs_done(steps_done)};
  }

  const RunContext& context_;
  const JobConfig& config_;
  std::unique_ptr<RunOutput> output_;  // rank 0
  TrainingData data_;
  LabelNoise label_noise_;
  Decoder policy_;
  StartedTraining started_;
  const ShardPlan& plan_ = started_.plan;
  CoordinatorWeights weights_;  // used on rank 0
  ShardCursor cursor_;
  EvaluationWatch watch_;
  BestParameters best_;  // rank 0
  References references_;
  bool policy_is_reference_ = starts_at_reference(config_.model);  // until a step moves the policy
  std::int64_t skipped_steps_ = 0;
  std::unique_ptr<RunReport> report_;  // rank 0
};

}  // namespace

void run_training(const RunContext& context) {
  const JobConfig config = make_job_config(context.registration.spec);
  std::unique_ptr<RunOutput> output;
  if (context.host.info().rank == 0) {
    output = std::make_unique<RunOutput>(config, context.registration.attempt.job_id);
  }
  TrainingRun(context, config, std::move(output)).run();
}

}  // namespace equipoise
