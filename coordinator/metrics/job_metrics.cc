#include "coordinator/metrics/job_metrics.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>
#include <optional>

#include "common/protocol/job_state.h"
#include "common/protocol/step_phases.h"
#include "common/robust/worst_group.h"
#include "coordinator/metrics/process_metrics.h"

namespace equipoise::coordinator {
namespace {

using prometheus::Gauge;
using prometheus::Histogram;
namespace names = metrics;

Histogram::BucketBoundaries step_buckets() {
  return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100};
}

// An fsync takes 0.1 ms on a good disk, 10 ms on a busy one.
Histogram::BucketBoundaries commit_buckets() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5};
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// "train", "validation", "validation/NAME" of one of data.validation_files.
std::string split_label(const v1::ReportMetricsRequest& request) {
  if (request.split() == v1::SPLIT_TRAIN) return "train";
  return request.file().empty() ? "validation" : "validation/" + request.file();
}

// Of the coordinator itself.
prometheus::Family<Gauge>& gauge_family(prometheus::Registry& registry, const names::Metric& metric) {
  return prometheus::BuildGauge().Name(std::string(metric.name)).Help(std::string(metric.help)).Register(registry);
}

prometheus::Family<prometheus::Counter>& counter_family(prometheus::Registry& registry, const names::Metric& metric) {
  return prometheus::BuildCounter().Name(std::string(metric.name)).Help(std::string(metric.help)).Register(registry);
}

Gauge& plain_gauge(prometheus::Registry& registry, const names::Metric& metric) {
  return gauge_family(registry, metric).Add({});
}

const char* outcome_label(StepOutcome outcome) {
  switch (outcome) {
    case StepOutcome::kCounted:
      return "counted";
    case StepOutcome::kSkipped:
      return "skipped";
    case StepOutcome::kRepeated:
      return "repeated";
  }
  return "counted";
}

// "reading_data"; "unknown" for one that a rank did not name.
std::string rank_phase_label(std::size_t phase) {
  constexpr std::size_t kEnumPrefix = std::string_view("RANK_PHASE_").size();
  return phase == 0 ? "unknown" : lower(v1::RankPhase_Name(static_cast<v1::RankPhase>(phase)).substr(kEnumPrefix));
}

// It has an attempt, or waits for the next one: time that belongs to its training.
bool is_of_attempts(v1::JobState state) {
  return state == v1::JOB_STATE_STARTING || state == v1::JOB_STATE_RUNNING || state == v1::JOB_STATE_RECOVERING ||
         state == v1::JOB_STATE_PAUSING;
}

double seconds_of(JobMetrics::Duration duration) { return std::chrono::duration<double>(duration).count(); }
double unix_seconds(WallTime time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }

std::string cause_label(RestartCause cause) {
  switch (cause) {
    case RestartCause::kPreemption:
      return "preemption";
    case RestartCause::kInfrastructure:
      return "infrastructure";
    case RestartCause::kCoordinator:
      return "coordinator";
  }
  return "infrastructure";
}

double growth(std::int64_t total, std::int64_t before) {
  return static_cast<double>(total >= before ? total - before : total);  // smaller: a new attempt counts from 0
}

}  // namespace

prometheus::Labels labels_of(const metrics::Metric& metric, const std::vector<std::string>& values) {
  EQUIPOISE_CHECK(metric.labels().size() == values.size());
  prometheus::Labels labels;
  for (std::size_t i = 0; i < values.size(); ++i) labels.emplace(std::string(metric.labels()[i]), values[i]);
  return labels;
}

JobMetrics::All::All()
    : group_weight(names::kGroupWeight),
      group_loss(names::kGroupLoss),
      group_reward_accuracy(names::kGroupRewardAccuracy),
      worst_group_loss(names::kWorstGroupLoss),
      train_step(names::kTrainStep),
      train_pairs(names::kTrainPairs),
      train_tokens(names::kTrainTokens),
      step_seconds(names::kStepSeconds),
      weight_update_seconds(names::kWeightUpdateSeconds),
      workers(names::kWorkers),
      rank_stalled_seconds(names::kRankStalledSeconds),
      job_state(names::kJobState),
      checkpoint_step(names::kCheckpointStep),
      checkpoints(names::kCheckpoints),
      restarts(names::kRestarts),
      skipped_steps(names::kSkippedSteps),
      skipped_gradients(names::kSkippedGradients),
      job_info(names::kJobInfo),
      planned_steps(names::kPlannedSteps),
      last_step_time(names::kLastStepTime),
      goodput(names::kGoodput),
      rising_evaluations(names::kRisingEvaluations),
      checkpoint_time(names::kCheckpointTime),
      checkpoint_bytes(names::kCheckpointBytes),
      checkpoint_duration(names::kCheckpointDuration),
      ranks(names::kRanks),
      rank_lag(names::kRankLag),
      step_time(names::kStepTime),
      job_state_time(names::kJobStateTime),
      of_jobs{&group_weight,
              &group_loss,
              &group_reward_accuracy,
              &worst_group_loss,
              &train_step,
              &train_pairs,
              &train_tokens,
              &step_seconds,
              &weight_update_seconds,
              &workers,
              &rank_stalled_seconds,
              &job_state,
              &checkpoint_step,
              &checkpoints,
              &restarts,
              &skipped_steps,
              &skipped_gradients,
              &job_info,
              &planned_steps,
              &last_step_time,
              &goodput,
              &rising_evaluations,
              &checkpoint_time,
              &checkpoint_bytes,
              &checkpoint_duration,
              &ranks,
              &rank_lag,
              &step_time,
              &job_state_time},
      state_writable(plain_gauge(registry, names::kStateWritable)),
      state_free_bytes(plain_gauge(registry, names::kStateFreeBytes)),
      state_disk_bytes(plain_gauge(registry, names::kStateDiskBytes)),
      database_bytes(plain_gauge(registry, names::kDatabaseBytes)),
      cordoned_hosts(plain_gauge(registry, names::kCordonedHosts)),
      unanswering_hosts(plain_gauge(registry, names::kUnansweringHosts)),
      jobs(gauge_family(registry, names::kJobs)),
      slots(gauge_family(registry, names::kSlots)),
      build_info(gauge_family(registry, names::kBuildInfo)),
      webhook_age(gauge_family(registry, names::kWebhookAge)),
      webhook_tries(counter_family(registry, names::kWebhookTries)),
      rpc_requests(counter_family(registry, names::kRpcRequests)) {}

std::vector<prometheus::MetricFamily> JobMetrics::All::Collect() const {
  std::vector<prometheus::MetricFamily> families = registry.Collect();
  for (const AnyJobSeries* series : of_jobs) {
    std::ranges::move(series->Collect(), std::back_inserter(families));
  }
  std::ranges::move(process_families(), std::back_inserter(families));
  return families;
}

JobMetrics::JobMetrics() : all_(std::make_shared<All>()) { show_state_writable(true); }

void JobMetrics::show_build(const BuildInfo& build) {
  all_->build_info.Add(labels_of(names::kBuildInfo, {build.version, build.revision})).Set(1);
}

void JobMetrics::show_info(const v1::TrainingJob& job) {
  all_->job_info.at({job.id(), job.spec().name()}).Set(1);
  // An increase from 0 is seen, the beginning of a series is none.
  all_->checkpoints.at({job.id()});
  for (const RestartCause cause :
       {RestartCause::kPreemption, RestartCause::kInfrastructure, RestartCause::kCoordinator}) {
    all_->restarts.at({job.id(), cause_label(cause)});
  }
}

void JobMetrics::show_state(const std::string& job_id, v1::JobState state) {
  for (int value = v1::JobState_MIN + 1; value <= v1::JobState_MAX; ++value) {
    const auto each = static_cast<v1::JobState>(value);
    all_->job_state.at({job_id, lower(state_name(each))}).Set(each == state ? 1 : 0);
  }
}

void JobMetrics::count_time(const std::string& job_id, v1::JobState state, Duration taken) {
  all_->job_state_time.at({job_id, lower(state_name(state))}).Increment(seconds_of(taken));
  OfJob& job = of_job_[job_id];
  if (is_of_attempts(state)) job.attempt_seconds += seconds_of(taken);
  if (job.attempt_seconds <= 0) return;
  // Steps are counted as they come, time is counted now and then.
  all_->goodput.at({job_id}).Set(std::min(1.0, job.counted_seconds / job.attempt_seconds));
}

void JobMetrics::show_jobs(const std::map<v1::JobState, std::size_t>& jobs) {
  for (int value = v1::JobState_MIN + 1; value <= v1::JobState_MAX; ++value) {
    const auto state = static_cast<v1::JobState>(value);
    const auto found = jobs.find(state);
    all_->jobs.Add(labels_of(names::kJobs, {lower(state_name(state))}))
        .Set(found == jobs.end() ? 0 : static_cast<double>(found->second));
  }
}

void JobMetrics::show_slots(const SlotCounts& slots) {
  all_->slots.Add(labels_of(names::kSlots, {"free"})).Set(slots.free);
  all_->slots.Add(labels_of(names::kSlots, {"used"})).Set(slots.used);
  all_->slots.Add(labels_of(names::kSlots, {"unavailable"})).Set(slots.unavailable);
}

void JobMetrics::show_workers(const std::string& job_id, RankCounts counts) {
  all_->workers.at({job_id, "active"}).Set(counts.active);
  all_->workers.at({job_id, "finished"}).Set(counts.finished);
}

void JobMetrics::show_stall(const std::string& job_id, Duration longest) {
  all_->rank_stalled_seconds.at({job_id}).Set(seconds_of(longest));
}

// Two series for any number of ranks: one for each would be 1,024 of a large job, and new ones with each attempt.
void JobMetrics::show_ranks(const std::string& job_id, const RankActivity& ranks) {
  for (std::size_t phase = 0; phase < ranks.in_phase.size(); ++phase) {
    all_->ranks.at({job_id, rank_phase_label(phase)}).Set(ranks.in_phase[phase]);
  }
  all_->rank_lag.at({job_id, "median"}).Set(seconds_of(ranks.median_lag));
  all_->rank_lag.at({job_id, "max"}).Set(seconds_of(ranks.longest_lag));
}

void JobMetrics::show_step(const v1::TrainingJob& job) {
  OfJob& known = of_job_[job.id()];
  if (known.step == nullptr) known.step = &all_->train_step.at({job.id()});
  known.step->Set(static_cast<double>(job.step()));
  if (job.total_steps() > 0) {
    if (known.planned_steps == nullptr) known.planned_steps = &all_->planned_steps.at({job.id()});
    known.planned_steps->Set(static_cast<double>(job.total_steps()));
  }
  auto& gauges = known.weights;
  for (int g = static_cast<int>(gauges.size()); g < job.groups_size(); ++g) {
    gauges.push_back(&all_->group_weight.at({job.id(), job.groups(g).name()}));
    all_->skipped_steps.at({job.id(), job.groups(g).name()});  // from 0 on
  }
  all_->skipped_gradients.at({job.id()});
  for (int g = 0; g < job.groups_size(); ++g) gauges[static_cast<std::size_t>(g)]->Set(job.groups(g).weight());
}

void JobMetrics::count_step(const std::string& job_id, StepOutcome outcome, std::optional<Duration> taken,
                            WallTime time) {
  OfJob& job = of_job_[job_id];
  if (job.step_time == nullptr) {
    job.step_time = &all_->last_step_time.at({job_id});
    for (const StepOutcome each : {StepOutcome::kCounted, StepOutcome::kSkipped, StepOutcome::kRepeated}) {
      job.step_seconds[static_cast<std::size_t>(each)] = &all_->step_time.at({job_id, outcome_label(each)});
    }
  }
  job.step_time->Set(unix_seconds(time));
  if (!taken) return;
  job.step_seconds[static_cast<std::size_t>(outcome)]->Increment(seconds_of(*taken));
  if (outcome == StepOutcome::kCounted) job.counted_seconds += seconds_of(*taken);
}

void JobMetrics::show_report(const v1::TrainingJob& job, const v1::ReportMetricsRequest& request) {
  show_groups(job, request, split_label(request));
  if (request.split() != v1::SPLIT_TRAIN) return;
  count_trained(request);
  for (const auto& [phase, observed] : request.phase_seconds()) {
    auto& histogram = all_->step_seconds.at({job.id(), std::string(step_phase_label(phase))}, step_buckets());
    for (const double seconds : observed.seconds()) {
      if (std::isfinite(seconds) && seconds >= 0) histogram.Observe(seconds);
    }
  }
}

void JobMetrics::show_groups(const v1::TrainingJob& job, const v1::ReportMetricsRequest& request,
                             const std::string& split) {
  // A batch's loss that is not finite is not shown: its step was skipped.
  const auto shown_loss = [&](const v1::GroupMetrics& group) {
    const bool is_shown = group.has_loss() && (std::isfinite(group.loss()) || request.split() == v1::SPLIT_VALIDATION);
    return is_shown ? std::optional(group.loss()) : std::nullopt;
  };
  for (const auto& group : request.groups()) {
    const std::string& name = job.groups(static_cast<int>(group.group())).name();
    if (const auto loss = shown_loss(group)) all_->group_loss.at({job.id(), name, split}).Set(*loss);
    if (group.has_reward_accuracy() && std::isfinite(group.reward_accuracy())) {
      all_->group_reward_accuracy.at({job.id(), name, split}).Set(group.reward_accuracy());
    }
  }
  const auto worst = worst_group(request.groups(), shown_loss);
  if (worst == request.groups().end()) return;
  show_worst_loss(job.id(), split, worst->loss(), request.split() == v1::SPLIT_VALIDATION);
}

void JobMetrics::show_worst_loss(const std::string& job_id, const std::string& split, double loss, bool is_evaluation) {
  all_->worst_group_loss.at({job_id, split}).Set(loss);
  if (!is_evaluation) return;
  auto& before = of_job_[job_id].worst_loss;
  const auto known = before.find(split);
  Gauge& rising = all_->rising_evaluations.at({job_id, split});
  // A loss that is not finite is above every other one.
  const bool rises = known != before.end() && (loss > known->second || !std::isfinite(loss));
  rising.Set(rises ? rising.Value() + 1 : 0);
  before[split] = loss;
}

void JobMetrics::count_trained(const v1::ReportMetricsRequest& request) {
  OfJob& before = of_job_[request.job_id()];
  all_->train_pairs.at({request.job_id()}).Increment(growth(request.pairs_total(), before.pairs));
  all_->train_tokens.at({request.job_id()}).Increment(growth(request.tokens_total(), before.tokens));
  all_->skipped_gradients.at({request.job_id()}).Increment(static_cast<double>(request.skipped_gradients()));
  before.pairs = request.pairs_total();
  before.tokens = request.tokens_total();
}

void JobMetrics::show_checkpoint(const v1::TrainingJob& job) {
  if (!job.has_checkpoint_step()) {
    for (auto* series :
         {&all_->checkpoint_step, &all_->checkpoint_time, &all_->checkpoint_bytes, &all_->checkpoint_duration}) {
      series->remove_job(job.id());
    }
    return;
  }
  all_->checkpoint_step.at({job.id()}).Set(static_cast<double>(job.checkpoint_step()));
}

void JobMetrics::count_checkpoint(const v1::CommitCheckpointRequest& request, WallTime time) {
  all_->checkpoints.at({request.job_id()}).Increment();
  all_->checkpoint_time.at({request.job_id()}).Set(unix_seconds(time));
  all_->checkpoint_bytes.at({request.job_id()}).Set(static_cast<double>(request.bytes()));
  if (!request.has_duration()) return;  // of an older rank
  const double seconds = static_cast<double>(request.duration().seconds()) + request.duration().nanos() * 1e-9;
  all_->checkpoint_duration.at({request.job_id()}).Set(seconds);
}

void JobMetrics::count_restart(const std::string& job_id, RestartCause cause) {
  all_->restarts.at({job_id, cause_label(cause)}).Increment();
}

void JobMetrics::count_skipped(const v1::TrainingJob& job, const v1::ReportStepRequest& request) {
  for (const std::uint32_t group : request.non_finite_group()) {
    all_->skipped_steps.at({job.id(), job.groups(static_cast<int>(group)).name()}).Increment();
  }
}

void JobMetrics::observe_weight_update(const std::string& job_id, double seconds) {
  all_->weight_update_seconds.at({job_id}, commit_buckets()).Observe(seconds);
}

void JobMetrics::show_state_disk(std::uint64_t free_bytes, std::uint64_t total_bytes) {
  all_->state_free_bytes.Set(static_cast<double>(free_bytes));
  all_->state_disk_bytes.Set(static_cast<double>(total_bytes));
}

void JobMetrics::show_hosts(UnusedHosts hosts) {
  all_->cordoned_hosts.Set(static_cast<double>(hosts.cordoned));
  all_->unanswering_hosts.Set(static_cast<double>(hosts.unanswering));
}

void JobMetrics::count_rpc(const std::string& method, const std::string& code) {
  all_->rpc_requests.Add(labels_of(names::kRpcRequests, {method, code})).Increment();
}

void JobMetrics::count_webhook(const std::string& outcome) {
  all_->webhook_tries.Add(labels_of(names::kWebhookTries, {outcome})).Increment();
}

void JobMetrics::show_webhook_age(std::chrono::seconds age) {
  all_->webhook_age.Add({}).Set(static_cast<double>(age.count()));
}

void JobMetrics::remove_job(const std::string& job_id) {
  for (AnyJobSeries* series : all_->of_jobs) series->remove_job(job_id);
  of_job_.erase(job_id);
}

}  // namespace equipoise::coordinator
