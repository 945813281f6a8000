#include "worker/language_model/language_model.h"

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/checkpoint/checkpoint_folder.h"
#include "common/config/data_config.h"
#include "common/config/loss_config.h"
#include "worker/collective/broadcast.h"
#include "worker/language_model/checkpoint_tensors.h"
#include "worker/language_model/device_advice.h"
#include "worker/language_model/evaluation.h"
#include "worker/language_model/gradient_buckets.h"
#include "worker/language_model/pair_metrics.h"
#include "worker/language_model/pair_places.h"
#include "worker/language_model/start_references.h"
#include "worker/language_model/step.h"
#include "worker/language_model/training_data.h"
#include "worker/model/model_folder.h"
#include "worker/model/torch_dtype.h"
#include "worker/objective/labels.h"
#include "worker/training/group_absence.h"
#include "worker/training/metrics_fields.h"
#include "worker/training/run_shares.h"

namespace equipoise {
namespace {

// Parts of a checkpoint. The first two are called as Hugging Face programs call their files.
constexpr const char* kModelPart = "model";
constexpr const char* kAdapterPart = "adapter_model";
constexpr const char* kOptimizerPart = "optimizer";
constexpr const char* kBestPart = "best";
constexpr const char* kReferenceDigest = "reference_sha256";

// 25 MiB hides the latency of a collective on every network and leaves enough buckets to overlap with the backward
// pass.
constexpr std::size_t kBucketBytes = std::size_t{25} << 20;

// More groups than a log should name; data.json has all of them.
constexpr std::size_t kMostLossLines = 10;

// A phase that is over sooner needs no percentage.
constexpr std::chrono::seconds kBetweenProgress{5};

TrainingData read_data(const RunContext& context) {
  context.heartbeat.set_phase(v1::RANK_PHASE_READING_DATA);
  return load_training_data(context.config, context.threads, [&context] { context.heartbeat.progress().advance(); });
}

// One rank of each machine says it: its devices are alike.
void advise(const RunContext& context, const DeviceCollective& device) {
  if (context.local.info().rank != 0) return;
  const JobConfig& config = context.config;
  const std::string name = device.device.str();
  if (!device.name.empty()) context.log.info("device {}: {}", name, device.name);
  const std::size_t free = free_memory(device, context.local.info());
  const MemoryEstimate estimate = estimate_memory(config, context.host.info().world_size);
  for (const std::string& warning :
       {memory_warning(estimate, free, name, config), dtype_warning(config.model.dtype, name)}) {
    if (!warning.empty()) context.log.warn("{}", warning);
  }
}

// What heartbeats tell of a model that is being read.
class LoadingTold {
 public:
  explicit LoadingTold(Heartbeat& heartbeat) : heartbeat_(heartbeat) { heartbeat.set_phase(kPhase); }
  void operator()(std::size_t done, std::size_t all) {
    heartbeat_.check();
    heartbeat_.progress().advance();
    const auto now = std::chrono::steady_clock::now();
    if (now - said_ < kBetweenProgress) return;
    said_ = now;
    const std::size_t percent =
        all == 0 ? 100 : static_cast<std::size_t>(100.0 * static_cast<double>(done) / static_cast<double>(all));
    heartbeat_.set_phase(kPhase, phase_name(kPhase) + ", " + std::to_string(percent) + " %");
  }

 private:
  static constexpr auto kPhase = v1::RANK_PHASE_LOADING_MODEL;
  Heartbeat& heartbeat_;
  std::chrono::steady_clock::time_point said_ = std::chrono::steady_clock::now();
};

// Checkpoints that the run begins with as models. Rank 0 reads all of them.
void check_checkpoints(const RunContext& context) {
  if (context.host.info().rank != 0) return;
  const ModelConfig& model = context.config.model;
  context.heartbeat.set_phase(v1::RANK_PHASE_LOADING_MODEL);
  const auto advance = [&](std::int64_t /*bytes*/) { context.heartbeat.progress().advance(); };
  const auto check = [&](const char* field, const std::filesystem::path& folder) {
    const std::string fault = fault_of_model(folder, advance);
    if (!fault.empty()) throw std::invalid_argument(std::string(field) + ": " + fault);
  };
  check("model.path", model.path);
  if (model.reference) check("model.reference", *model.reference);
  if (model.adapter) check("model.adapter", *model.adapter);
}

Decoder load_decoder(const RunContext& context, torch::Device device) {
  const ModelConfig& model = context.config.model;
  check_checkpoints(context);
  const torch::Dtype dtype = torch_dtype(model.dtype);
  Decoder decoder = Decoder::load(model.path, dtype, device, model.quantization, LoadingTold(context.heartbeat));
  if (model.lora) {
    decoder.attach(new_adapter(decoder.config(), *model.lora, context.config.training.seed, dtype, device));
  } else if (model.adapter) {
    LoraAdapter adapter = load_adapter(*model.adapter, decoder.config(), dtype, device);
    if (context.host.info().rank == 0 && adapter.settings.dropout != model.adapter_dropout) {
      context.log.info("the adapter was trained with lora_dropout {}; this job trains it with model.lora.dropout {}",
                       adapter.settings.dropout, model.adapter_dropout);
    }
    adapter.settings.dropout = model.adapter_dropout;
    decoder.attach(std::move(adapter));
  }
  return decoder;
}

PairMetrics pair_metrics(const LossConfig& loss) {
  return {.has_rewards = loss.type != LossType::kSft, .has_nll = loss.sft_weight > 0};
}

class LanguageModel final : public TrainedPolicy {
 public:
  LanguageModel(const RunContext& context, const DeviceCollective& device)
      : context_(context),
        config_(context.config),
        device_(device),
        metrics_(pair_metrics(config_.loss)),
        data_(read_data(context)),
        baseline_K_(baseline_K(config_.robust, data_.train.group_names, data_.train_floor_K)),
        validation_baseline_K_(baseline_K(config_.robust, data_.validation.group_names, data_.validation_floor_K)),
        grouped_(grouped()),
        label_noise_(config_.loss, data_.train.group_names),
        places_(data_.train.pairs, data_.train_files),
        decoder_((advise(context, device), load_decoder(context, device.device))) {}

  const GroupedData& data() const override { return grouped_; }

  void announce(spdlog::logger& log) const override {
    for (const FileReading& file : data_.train_files) log_file(file, log);
    for (const FileReading& file : data_.validation_files) log_file(file, log);
    for (const std::string& sentence : differences_from_trl(config_.loss)) log.warn("{}", sentence);
  }

  std::vector<double> absence_K() const override {
    std::vector<std::span<const Membership>> memberships_N;
    for (const EncodedPair pair : data_.train.pairs) memberships_N.push_back(pair.memberships);
    return equipoise::absence_K(memberships_N, data_.strata, config_.training.global_batch_size, data_.num_groups());
  }

  std::vector<ValidationMeans> expected_evaluation() const override {
    std::vector<ValidationMeans> expected;
    if (data_.validation.pairs.empty()) return expected;
    const auto& names = data_.validation.group_names;
    expected.push_back(expected_means(metrics_, data_.validation.pair_count_K, names));
    for (std::size_t f = 0; f < data_.validation_names.size(); ++f) {
      expected.push_back(expected_means(metrics_, data_.validation_counts_FK[f], names, data_.validation_names[f]));
    }
    return expected;
  }

  void check_same_on_all_ranks() override {
    model_digest_ = parameter_digest(decoder_.parameters());
    trained_digest_ = decoder_.adapter() ? parameter_digest(decoder_.trained()) : model_digest_;
    validation_digest_ = dataset_digest(data_.validation);
    equipoise::check_same_on_all_ranks(context_.host, validation_digest_, "validation data");
    equipoise::check_same_on_all_ranks(context_.host, model_digest_, "model");
    equipoise::check_same_on_all_ranks(context_.host, trained_digest_, "adapter");
  }

  void start(const ShardPlan& plan) override {
    references_ = compute_references();
    if (config_.training.gradient_checkpointing) decoder_.recompute_layers();
    cursor_.emplace(plan, data_.strata);
    gradients_.emplace(decoder_.trained(), device_.collective(context_.host), kBucketBytes);
    optimizer_.emplace(config_.optimizer, decoder_.trained(), plan.end_step);
    inputs_.emplace(inputs(data_.train, references_.train, data_.train_weight_N));
  }

  bool write_data_report(const std::filesystem::path& file) const override {
    equipoise::write_data_report(file, data_.train_files, data_.validation_files);
    return true;
  }

  StepOutcome step(std::int64_t step, StepWeights& weights) override {
    StepParts parts = step_parts(weights);
    last_.emplace(train_step(parts, step));
    const StepResult& result = *last_;
    if (!result.skipped && result.learning_rate > 0) policy_is_reference_ = inputs_->policy_is_reference = false;
    return {.is_loss_finite = result.sums.non_finite_groups().empty(),
            .is_skipped = result.skipped,
            .pairs = result.sums.pairs(),
            .tokens = result.sums.tokens(),
            .sequence_tokens = result.sums.sequence_tokens(),
            .phases = result.phases};
  }

  StepNumbers last_step() const override {
    return {.loss = last_->loss,
            .loss_error = last_->loss_error,
            .grad_norm = last_->grad_norm,
            .learning_rate = last_->learning_rate,
            .groups = group_means(metrics_, last_->sums),
            .further = step_fields(metrics_, last_->sums, data_.train.group_names)};
  }

  std::vector<std::string> share_files() const override {
    std::vector<std::string> files;
    for (const DataFile& file : training_files(config_.data)) files.push_back(file.path.string());
    return files;
  }

  std::vector<GroupShares> last_shares() const override {
    return places_.shares(last_->pair_losses, last_->sums.group_sums());
  }

  double epochs_done(std::int64_t steps_done) const override { return cursor_->epochs_done(steps_done); }

  std::vector<ValidationMeans> evaluate() override {
    const ForwardInputs validation = inputs(data_.validation, references_.validation, data_.validation_weight_N);
    const auto& names = data_.validation.group_names;
    const EvaluationSums sums = evaluate_files(validation, names.size(), config_.training.micro_batch_tokens,
                                               data_.validation_pairs_F, context_.host);
    std::vector<ValidationMeans> evaluation = {validation_means(metrics_, sums.all, names)};
    for (std::size_t f = 0; f < sums.files.size(); ++f) {
      evaluation.push_back(validation_means(metrics_, sums.files[f], names, data_.validation_names[f]));
    }
    return evaluation;
  }

  void observe_evaluation(double worst_group_loss) override { optimizer_->observe_evaluation(worst_group_loss); }

  void set_learning_rate(double learning_rate) override { optimizer_->set_learning_rate(learning_rate); }

  void keep() override { best_.keep(decoder_.trained()); }

  Digest state_digest() const override { return parameter_digest(decoder_.trained()); }

  PolicySnapshot snapshot(CheckpointShare share) const override {
    CheckpointSnapshot snapshot(share);
    if (decoder_.adapter()) {
      snapshot.add_whole(kAdapterPart, decoder_.trained());
    } else {
      snapshot.add_sharded(kModelPart, decoder_.trained());
    }
    snapshot.add_sharded(kOptimizerPart, optimizer_->state().tensors);
    snapshot.add_whole(kBestPart, best_.kept(decoder_.trained()));
    return snapshot.finish();
  }

  CheckpointJson checkpoint_state() const override {
    CheckpointJson state = {{"model_sha256", hex_text(model_digest_)},
                            {"start_sha256", hex_text(trained_digest_)},
                            {"validation_sha256", hex_text(validation_digest_)},
                            {"is_reference", policy_is_reference_},
                            {"learning_rate", json_of(optimizer_->state().schedule)},
                            {"has_best", !best_.kept(decoder_.trained()).empty()}};
    if (references_.named) state[kReferenceDigest] = hex_text(*references_.named);
    return state;
  }

  void write_companions(const std::filesystem::path& folder) const override {
    if (decoder_.adapter()) {
      write_adapter_files(*decoder_.adapter(), config_.model.path, folder);
    } else {
      write_model_files(decoder_, config_.model.path, folder);
    }
    add_own_files(folder);
  }

  void restore(const CheckpointReader& checkpoint) override {
    const CheckpointJson& state = checkpoint.manifest().policy;
    if (digest_at(state, "model_sha256") != model_digest_ || digest_at(state, "start_sha256") != trained_digest_) {
      throw std::invalid_argument(
          "model.path, or the adapter on it, is not the one that the training of the checkpoint began with: put it "
          "back");
    }
    if (digest_at(state, "validation_sha256") != validation_digest_) {
      throw std::invalid_argument("the validation data are not those of the checkpoint: put back data.validation");
    }
    // Checkpoints of earlier programs do not say it.
    if (references_.named && state.contains(kReferenceDigest) &&
        digest_at(state, kReferenceDigest) != *references_.named) {
      throw std::invalid_argument("model.reference " + config_.model.reference->string() +
                                  " is not the model that the training of the checkpoint had as its reference: put it "
                                  "back");
    }
    read_tensors(checkpoint, decoder_.adapter() ? kAdapterPart : kModelPart, decoder_.trained());
    OptimizerState optimizer = optimizer_->state();
    read_tensors(checkpoint, kOptimizerPart, optimizer.tensors);
    optimizer.schedule = schedule_at(state, "learning_rate");
    optimizer_->restore(optimizer);
    if (flag_at(state, "has_best")) {
      // Rank 0's; what the others read goes.
      BestParameters others;
      BestParameters& best = context_.host.info().rank == 0 ? best_ : others;
      best.keep(decoder_.trained());  // like them in shape and type, until they are read
      read_tensors(checkpoint, kBestPart, best.kept(decoder_.trained()));
    }
    policy_is_reference_ = inputs_->policy_is_reference = flag_at(state, "is_reference");
    inputs_.emplace(inputs(data_.train, references_.train, data_.train_weight_N));
  }

  void save(const std::filesystem::path& folder, std::span<const double> /*alpha_K*/) override {
    // What only steps need leaves its memory to the writing.
    optimizer_.reset();
    gradients_.reset();
    best_.put_back(decoder_.trained());
    const auto advance = [this](std::int64_t /*bytes*/) { context_.heartbeat.progress().advance(); };
    if (decoder_.adapter()) {
      save_adapter(*decoder_.adapter(), config_.model.path, folder, advance);
    } else {
      save_model(decoder_, config_.model.path, folder, advance);
    }
    add_own_files(folder);
  }

  std::optional<MetricsFields> test() const override { return std::nullopt; }

 private:
  // What the job itself brings to a model's folder.
  void add_own_files(const std::filesystem::path& folder) const {
    if (const auto& adapter = config_.model.adapter) {
      copy_chat_templates(*adapter, folder);
      copy_adapter_terms(*adapter, folder);
    }
    if (const auto& file = config_.model.chat_template) put_chat_template(*file, folder);
  }

  GroupedData grouped() const {
    const GroupSizes counted{data_.counted_K, static_cast<double>(data_.train.pairs.size())};
    return {.group_names = data_.train.group_names,
            .counted = counted,
            .population = {data_.train.pair_count_K, data_.num_pairs},
            .digest = data_.digest,
            .label_floor_K = data_.train_floor_K,
            .baseline_K = baseline_K_,
            .validation_names = data_.validation.group_names,
            .validation_baseline_K = validation_baseline_K_};
  }

  void log_file(const FileReading& file, spdlog::logger& log) const {
    log.info("{}", reading_line(file));
    for (const std::string& note : file.notes) log.warn("{}", note);
    for (const auto& line : loss_lines(file, config_.data.max_length, kMostLossLines)) log.warn("{}", line);
    for (const auto& line : prompt_lines(file)) log.warn("{}", line);
  }

  References compute_references() {
    constexpr auto kPhase = v1::RANK_PHASE_REFERENCE_LOG_PROBS;
    context_.heartbeat.set_phase(kPhase);
    auto said = std::chrono::steady_clock::now();
    const auto on_progress = [&](std::int64_t percent) {
      context_.heartbeat.check();
      context_.heartbeat.progress().advance();
      const auto now = std::chrono::steady_clock::now();
      if (now - said < kBetweenProgress) return;
      said = now;
      context_.heartbeat.set_phase(kPhase, phase_name(kPhase) + ", " + std::to_string(percent) + " %");
    };
    return start_references({.config = config_,
                             .policy = decoder_,
                             .data = data_,
                             .host = context_.host,
                             .log = context_.log,
                             .on_progress = on_progress,
                             .on_tensor = [this] {
                               context_.heartbeat.check();
                               context_.heartbeat.progress().advance();
                             }});
  }

  StepParts step_parts(StepWeights& weights) {
    const GroupSizes sizes = estimator_sizes(config_.robust.settings.estimator, grouped_.counted, grouped_.population);
    return {.inputs = *inputs_,
            .robust = config_.robust.settings,
            .group_pair_count_K = sizes.pair_count_K,
            .micro_batch_tokens = config_.training.micro_batch_tokens,
            .cursor = *cursor_,
            .host = context_.host,
            .gradients = *gradients_,
            .optimizer = *optimizer_,
            .weights = weights,
            .is_logged = [this](std::int64_t step) { return is_logged(config_.logging, step + 1); },
            .num_pairs = sizes.num_pairs,
            .dropout_seed = dropout_seed(),
            .keeps_pair_losses = keeps_pair_shares(config_)};
  }

  std::optional<std::uint64_t> dropout_seed() const {
    if (!decoder_.adapter() || decoder_.adapter()->settings.dropout == 0) return std::nullopt;
    return config_.training.seed;
  }

  ForwardInputs inputs(const EncodedDataset& dataset, const AnswerLogProbs& reference,
                       std::span<const double> weight_N) const {
    return {.decoder = decoder_,
            .loss = config_.loss,
            .pairs = dataset.pairs,
            .reference = reference,
            .label_noise = &label_noise_,
            .policy_is_reference = policy_is_reference_ && !has_own_reference(dataset),
            .weight_N = weight_N,
            .progress = &context_.heartbeat.progress()};
  }

  const RunContext& context_;
  const JobConfig& config_;
  const DeviceCollective& device_;
  const PairMetrics metrics_;
  const TrainingData data_;
  const std::vector<double> baseline_K_, validation_baseline_K_;  // empty without robust.baseline
  const GroupedData grouped_;                                     // views of the above
  const LabelNoise label_noise_;
  const PairPlaces places_;
  Decoder decoder_;
  Digest validation_digest_{};
  Digest model_digest_{}, trained_digest_{};                       // at the start: of all, of what is trained
  bool policy_is_reference_ = starts_at_reference(config_.model);  // until a step moves the policy
  BestParameters best_;                                            // rank 0
  // From start() on.
  References references_;
  std::optional<ShardCursor> cursor_;
  std::optional<GradientBuckets> gradients_;
  std::optional<Optimizer> optimizer_;
  std::optional<ForwardInputs> inputs_;
  std::optional<StepResult> last_;
};

}  // namespace

std::unique_ptr<TrainedPolicy> load_language_model(const RunContext& context, const DeviceCollective& device) {
  return std::make_unique<LanguageModel>(context, device);
}

}  // namespace equipoise
