#include "coordinator/metrics/job_metrics.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <optional>

#include "common/protocol/job_state.h"
#include "common/protocol/step_phases.h"
#include "common/robust/worst_group.h"

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

// Of the coordinator itself, without labels.
Gauge& plain_gauge(prometheus::Registry& registry, const names::Metric& metric) {
  return prometheus::BuildGauge()
      .Name(std::string(metric.name))
      .Help(std::string(metric.help))
      .Register(registry)
      .Add({});
}

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
      state_writable(plain_gauge(registry, names::kStateWritable)),
      state_free_bytes(plain_gauge(registry, names::kStateFreeBytes)),
      cordoned_hosts(plain_gauge(registry, names::kCordonedHosts)),
      unanswering_hosts(plain_gauge(registry, names::kUnansweringHosts)),
      rpc_requests(prometheus::BuildCounter()
                       .Name(std::string(names::kRpcRequests.name))
                       .Help(std::string(names::kRpcRequests.help))
                       .Register(registry)) {}

std::vector<prometheus::MetricFamily> JobMetrics::All::Collect() const {
  std::vector<prometheus::MetricFamily> families = registry.Collect();
  for (const prometheus::Collectable* series : std::initializer_list<const prometheus::Collectable*>{
           &group_weight, &group_loss, &group_reward_accuracy, &worst_group_loss, &train_step, &train_pairs,
           &train_tokens, &step_seconds, &weight_update_seconds, &workers, &rank_stalled_seconds, &job_state,
           &checkpoint_step, &checkpoints, &restarts, &skipped_steps}) {
    std::ranges::move(series->Collect(), std::back_inserter(families));
  }
  return families;
}

JobMetrics::JobMetrics() : all_(std::make_shared<All>()) { show_state_writable(true); }

void JobMetrics::show_state(const std::string& job_id, v1::JobState state) {
  for (int value = v1::JobState_MIN + 1; value <= v1::JobState_MAX; ++value) {
    const auto each = static_cast<v1::JobState>(value);
    all_->job_state.at({job_id, lower(state_name(each))}).Set(each == state ? 1 : 0);
  }
}

void JobMetrics::show_workers(const std::string& job_id, RankCounts counts) {
  all_->workers.at({job_id, "active"}).Set(counts.active);
  all_->workers.at({job_id, "finished"}).Set(counts.finished);
}

void JobMetrics::show_stall(const std::string& job_id, std::chrono::steady_clock::duration longest) {
  all_->rank_stalled_seconds.at({job_id}).Set(std::chrono::duration<double>(longest).count());
}

void JobMetrics::show_step(const v1::TrainingJob& job) {
  all_->train_step.at({job.id()}).Set(static_cast<double>(job.step()));
  auto& gauges = weight_gauges_[job.id()];
  for (int g = static_cast<int>(gauges.size()); g < job.groups_size(); ++g) {
    gauges.push_back(&all_->group_weight.at({job.id(), job.groups(g).name()}));
  }
  for (int g = 0; g < job.groups_size(); ++g) gauges[static_cast<std::size_t>(g)]->Set(job.groups(g).weight());
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
  if (worst != request.groups().end()) all_->worst_group_loss.at({job.id(), split}).Set(worst->loss());
}

void JobMetrics::count_trained(const v1::ReportMetricsRequest& request) {
  Totals& before = totals_[request.job_id()];
  all_->train_pairs.at({request.job_id()}).Increment(growth(request.pairs_total(), before.pairs));
  all_->train_tokens.at({request.job_id()}).Increment(growth(request.tokens_total(), before.tokens));
  before = {.pairs = request.pairs_total(), .tokens = request.tokens_total()};
}

void JobMetrics::show_checkpoint(const v1::TrainingJob& job) {
  if (!job.has_checkpoint_step()) return all_->checkpoint_step.remove_job(job.id());
  all_->checkpoint_step.at({job.id()}).Set(static_cast<double>(job.checkpoint_step()));
}

void JobMetrics::count_checkpoint(const std::string& job_id) { all_->checkpoints.at({job_id}).Increment(); }

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

void JobMetrics::count_rpc(const std::string& method, const std::string& code) {
  all_->rpc_requests.Add(labels_of(names::kRpcRequests, {method, code})).Increment();
}

void JobMetrics::remove_job(const std::string& job_id) {
  for (auto* series :
       {&all_->group_weight, &all_->group_loss, &all_->group_reward_accuracy, &all_->worst_group_loss,
        &all_->train_step, &all_->workers, &all_->rank_stalled_seconds, &all_->job_state, &all_->checkpoint_step}) {
    series->remove_job(job_id);
  }
  for (auto* series :
       {&all_->train_pairs, &all_->train_tokens, &all_->checkpoints, &all_->restarts, &all_->skipped_steps})
    series->remove_job(job_id);
  for (auto* series : {&all_->step_seconds, &all_->weight_update_seconds}) series->remove_job(job_id);
  weight_gauges_.erase(job_id);
  totals_.erase(job_id);
}

}  // namespace equipoise::coordinator
