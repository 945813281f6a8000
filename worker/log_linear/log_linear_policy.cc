#include "worker/log_linear/log_linear_policy.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/durable_file.h"
#include "common/base/error.h"
#include "common/log_linear/evaluation.h"
#include "worker/collective/broadcast.h"
#include "worker/log_linear/log_linear_data.h"
#include "worker/log_linear/log_linear_step.h"
#include "worker/objective/labels.h"
#include "worker/training/group_absence.h"

namespace equipoise {
namespace {

namespace schema = metrics_schema;

// Sums over the validation pairs, each rank its part of them.
class ValidationPairs {
 public:
  ValidationPairs(const LogLinearData& data, const LossConfig& loss, HostCollective& host)
      : host_(host), sums_(group_loss_settings(loss, data.group_names), data.train.dim) {
    const log_linear::PairMatrix& matrix = *data.validation;
    const RankInfo rank = host.info();
    pairs_.assign(matrix, log_linear::slice_of(matrix.pairs(), static_cast<std::size_t>(rank.rank),
                                               static_cast<std::size_t>(rank.world_size)));
  }

  ValidationMeans evaluate(std::span<const double> theta_D) {
    sums_.assign(pairs_, theta_D);
    host_.all_reduce_sum(sums_.values());
    ValidationMeans result;
    double loss = 0;
    for (std::size_t g = 0; g < sums_.groups(); ++g) {
      const GroupMeans group{.group = static_cast<std::uint32_t>(g),
                             .loss = sums_.loss_sum(g) / sums_.pair_count(g),
                             .pair_count = sums_.pair_count(g),
                             .accuracy = {}};
      loss += group.loss * group.pair_count;
      result.pairs += group.pair_count;
      result.groups.push_back(group);
    }
    result.loss = loss / result.pairs;
    result.further.set(schema::kTheta, theta_D);
    return result;
  }

 private:
  HostCollective& host_;
  log_linear::GroupedPairs pairs_;
  log_linear::StepSums sums_;
};

// The part of a checkpoint, and its tensors.
constexpr const char* kThetaPart = "theta";
constexpr const char* kTheta = "theta";
constexpr const char* kThetaAverage = "theta_average";

TensorView view_of(const char* name, const std::vector<double>& values) {
  return {.name = name,
          .dtype = "F64",
          .shape = {static_cast<std::int64_t>(values.size())},
          .bytes = std::as_bytes(std::span(values))};
}

LogLinearData read_data(const RunContext& context) {
  context.heartbeat.set_phase(v1::RANK_PHASE_READING_DATA);
  return load_log_linear_data(context.config);
}

class LogLinearPolicy final : public TrainedPolicy {
 public:
  explicit LogLinearPolicy(const RunContext& context)
      : context_(context),
        config_(context.config),
        data_(read_data(context)),
        baseline_K_(baseline_K(config_.robust, data_.group_names, data_.train_floor_K)),
        validation_baseline_K_(baseline_K(config_.robust, data_.group_names, data_.validation_floor_K)),
        grouped_(grouped()) {
    if (!data_.test.empty()) rewards_.emplace(config_.log_linear->problem, data_.test);
    if (data_.validation) validation_.emplace(data_, config_.loss, context.host);
  }

  const GroupedData& data() const override { return grouped_; }

  void announce(spdlog::logger& log) const override {
    for (const std::string& note : data_.notes) log.warn("{}", note);
  }

  std::vector<double> absence_K() const override {
    std::vector<Membership> membership_N;
    for (const std::uint32_t group : data_.train.group_N) membership_N.push_back({.group = group, .weight = 1});
    std::vector<std::span<const Membership>> memberships_N;
    for (const Membership& membership : membership_N) memberships_N.emplace_back(&membership, 1);
    // One group a step is a batch of one pair as far as presence goes.
    const bool is_one_group = config_.training.sampling == Sampling::kOneGroup;
    const std::int64_t batch_size = is_one_group ? 1 : config_.training.global_batch_size;
    return equipoise::absence_K(memberships_N, data_.strata, batch_size, data_.group_names.size());
  }

  std::vector<ValidationMeans> expected_evaluation() const override {
    if (!validation_) return {};
    ValidationMeans expected;
    for (std::size_t g = 0; g < data_.group_names.size(); ++g) {
      expected.groups.push_back({.group = static_cast<std::uint32_t>(g), .loss = 0, .pair_count = 1, .accuracy = {}});
    }
    return {std::move(expected)};
  }

  void check_same_on_all_ranks() override {
    equipoise::check_same_on_all_ranks(context_.host, data_.validation_digest, "validation data");
  }

  void start(const ShardPlan& plan) override { step_.emplace(config_, data_, plan, context_.host); }

  bool write_data_report(const std::filesystem::path& /*file*/) const override { return false; }

  StepOutcome step(std::int64_t step, StepWeights& weights) override {
    step_->run(step, weights);
    return {
        .is_loss_finite = !step_->skipped(), .is_skipped = step_->skipped(), .pairs = step_->group_sums().batch_pairs};
  }

  StepNumbers last_step() const override {
    StepNumbers numbers{.loss = step_->loss(),
                        .loss_error = {},
                        .grad_norm = step_->grad_norm(),
                        .learning_rate = step_->theta().learning_rate(),
                        .groups = {},
                        .further = {}};
    const GroupSums& sums = step_->group_sums();
    for (std::size_t i = 0; i < sums.group.size(); ++i) {
      numbers.groups.push_back({.group = sums.group[i],
                                .loss = sums.loss_sum[i] / sums.pair_count[i],
                                .pair_count = step_->group_pairs()[i],
                                .accuracy = {}});
    }
    numbers.further.set(schema::kTheta, step_->theta().theta_D());
    return numbers;
  }

  double epochs_done(std::int64_t steps_done) const override { return step_->epochs_done(steps_done); }

  std::vector<ValidationMeans> evaluate() override { return {validation_->evaluate(step_->theta().theta_D())}; }

  void observe_evaluation(double worst_group_loss) override { step_->observe_evaluation(worst_group_loss); }

  void set_learning_rate(double learning_rate) override { step_->set_learning_rate(learning_rate); }

  // A job that asks for it is refused: common/config/log_linear_config.cc.
  void keep() override { EQUIPOISE_CHECK(false); }

  Digest state_digest() const override {
    Sha256 sha;
    sha.update(std::as_bytes(step_->theta().theta_D()));
    sha.update(std::as_bytes(std::span<const double>(step_->theta().average_D())));
    return sha.finish();
  }

  // Steps may take a microsecond.
  std::int64_t most_steps_between_talks() const override { return 1 << 16; }

  // Small enough for one rank.
  PolicySnapshot snapshot(CheckpointShare share) const override {
    if (share.index != 0) return {};
    const auto state = std::make_shared<const log_linear::ThetaState>(step_->theta().state());
    CheckpointPart part{.name = kThetaPart,
                        .is_sharded = false,
                        .tensors = {view_of(kTheta, state->theta_D), view_of(kThetaAverage, state->average_D)}};
    return {.parts = {std::move(part)}, .memory = {state}};
  }

  CheckpointJson checkpoint_state() const override {
    const log_linear::ThetaState state = step_->theta().state();
    return {{"steps", state.steps},
            {"validation_sha256", hex_text(data_.validation_digest)},
            {"theta_schedule", json_of(state.schedule)},
            {"learning_rate", json_of(step_->schedule())}};
  }

  void write_companions(const std::filesystem::path& /*folder*/) const override {}

  void restore(const CheckpointReader& checkpoint) override {
    if (digest_at(checkpoint.manifest().policy, "validation_sha256") != data_.validation_digest) {
      throw std::invalid_argument("the validation data are not those of the checkpoint: put back data.validation");
    }
    log_linear::ThetaState theta = step_->theta().state();
    for (const auto& [name, values] : {std::pair(kTheta, &theta.theta_D), std::pair(kThetaAverage, &theta.average_D)}) {
      checkpoint.read(kThetaPart, view_of(name, *values), std::as_writable_bytes(std::span(*values)));
    }
    const CheckpointJson& state = checkpoint.manifest().policy;
    theta.steps = integer_at(state, "steps");
    theta.schedule = schedule_at(state, "theta_schedule");
    step_->restore(std::move(theta), schedule_at(state, "learning_rate"));
  }

  void save(const std::filesystem::path& folder, std::span<const double> alpha_K) override {
    const log_linear::ThetaUpdate& theta = step_->theta();
    const auto list = [](std::span<const double> values) { return std::vector<double>(values.begin(), values.end()); };
    const MetricsJson parameters = {{"theta", list(theta.theta_D())},
                                    {"theta_average", list(theta.average_D())},
                                    {"alpha", list(alpha_K)},
                                    {"groups", data_.group_names},
                                    {"steps", theta.steps()}};
    std::filesystem::create_directories(folder);
    write_durably(folder / "theta.json", parameters.dump(2) + "\n");
  }

  std::optional<MetricsFields> test() const override {
    if (!rewards_) return std::nullopt;
    const std::span<const double> theta_D = step_->theta().theta_D();
    const log_linear::RewardReport report = rewards_->report(theta_D);
    MetricsFields fields;
    fields.set(schema::kTheta, theta_D);
    fields.set(schema::kGroupReward, by_group(report.group_reward_K));
    fields.set(schema::kOptimalReward, by_group(report.optimal_reward_K));
    fields.set(schema::kRewardError, by_group(report.reward_error_K));
    fields.set(schema::kMaxRewardError, report.max_reward_error);
    return fields;
  }

 private:
  bool is_loss_finite() const {
    if (!step_->skipped()) return true;
    const auto is_finite = [this](std::uint32_t group) { return std::isfinite(step_->sums().loss_sum(group)); };
    return std::ranges::all_of(step_->group_sums().group, is_finite);
  }

  GroupedData grouped() const {
    return {.group_names = data_.group_names,
            .counted = {data_.counted_K, static_cast<double>(data_.train.pairs())},
            .population = {data_.pair_count_K, data_.num_pairs},
            .digest = data_.digest,
            .label_floor_K = data_.train_floor_K,
            .baseline_K = baseline_K_,
            .validation_names = data_.group_names,
            .validation_baseline_K = validation_baseline_K_};
  }

  std::vector<GroupNumber> by_group(std::span<const double> values_K) const {
    std::vector<GroupNumber> numbers;
    for (std::size_t g = 0; g < values_K.size(); ++g) {
      numbers.push_back({.group = data_.group_names[g], .value = values_K[g]});
    }
    return numbers;
  }

  const RunContext& context_;
  const JobConfig& config_;
  const LogLinearData data_;
  const std::vector<double> baseline_K_, validation_baseline_K_;  // empty without robust.baseline
  const GroupedData grouped_;                                     // views of the above
  std::optional<log_linear::RewardEvaluator> rewards_;            // of data.test
  std::optional<ValidationPairs> validation_;
  std::optional<LogLinearStep> step_;  // from start() on
};

}  // namespace

std::unique_ptr<TrainedPolicy> load_log_linear_policy(const RunContext& context) {
  return std::make_unique<LogLinearPolicy>(context);
}

}  // namespace equipoise
