// Every metric that Prometheus sees: name, unit, meaning, labels. The coordinator exposes them, dashboards read them.
#pragma once

#include <array>
#include <span>
#include <string_view>

namespace equipoise::metrics {

enum class Type { kGauge, kCounter, kHistogram };

struct Metric {
  std::string_view name;  // with the prefix equipoise_
  Type type;
  std::string_view unit;  // "1" for a plain number
  std::string_view help;
  std::array<std::string_view, 3> label_array;  // label names; unused ones are empty

  constexpr std::span<const std::string_view> labels() const {
    std::size_t count = 0;
    while (count < label_array.size() && !label_array[count].empty()) ++count;
    return std::span(label_array).first(count);
  }
};

// TrainingJob.id. Prometheus sets a label `job` of its own: the name of the scrape job.
inline constexpr std::string_view kJob = "training_job";
inline constexpr std::string_view kGroup = "group";  // name of a group in the data
inline constexpr std::string_view kSplit = "split";  // "train", "validation", or "validation/NAME" of one file
inline constexpr std::string_view kState = "state";  // of a job or a worker, in lower case
inline constexpr std::string_view kPhase = "phase";  // of a step: one of common/protocol/step_phases.h, or "other"
inline constexpr std::string_view kCause = "cause";  // of a restart: "preemption", "infrastructure", "coordinator"
inline constexpr std::string_view kMethod = "method";
inline constexpr std::string_view kCode = "code";  // gRPC status code: "OK", "NOT_FOUND", ...

inline constexpr Metric kGroupWeight{
    "equipoise_group_weight", Type::kGauge, "1", "Weight alpha of a group after the newest step", {kJob, kGroup}};
inline constexpr Metric kGroupLoss{"equipoise_group_loss",
                                   Type::kGauge,
                                   "nats",
                                   "Mean loss of a group in the newest logged batch or evaluation (IPO: nats^2)",
                                   {kJob, kGroup, kSplit}};
inline constexpr Metric kGroupRewardAccuracy{"equipoise_group_reward_accuracy",
                                             Type::kGauge,
                                             "1",
                                             "Part of a group's pairs whose chosen answer has the higher reward",
                                             {kJob, kGroup, kSplit}};
inline constexpr Metric kWorstGroupLoss{
    "equipoise_worst_group_loss", Type::kGauge, "nats", "Largest mean loss of any group", {kJob, kSplit}};
inline constexpr Metric kTrainStep{"equipoise_train_step", Type::kGauge, "1", "Optimiser steps done", {kJob}};
inline constexpr Metric kTrainPairs{
    "equipoise_train_pairs_total", Type::kCounter, "1", "Preference pairs trained on", {kJob}};
inline constexpr Metric kTrainTokens{"equipoise_train_tokens_total", Type::kCounter, "1", "Tokens trained on", {kJob}};
inline constexpr Metric kStepSeconds{
    "equipoise_step_seconds", Type::kHistogram, "seconds", "Time of each phase of a step on rank 0", {kJob, kPhase}};
inline constexpr Metric kWeightUpdateSeconds{"equipoise_weight_update_seconds",
                                             Type::kHistogram,
                                             "seconds",
                                             "Time of one weight update in the coordinator, with its record on disk",
                                             {kJob}};
inline constexpr Metric kWorkers{"equipoise_workers", Type::kGauge, "1", "Workers by state", {kJob, kState}};
inline constexpr Metric kRankStalledSeconds{"equipoise_rank_stalled_seconds",
                                            Type::kGauge,
                                            "seconds",
                                            "Time since the rank went on that has stood still for longest, of those "
                                            "that do not wait for another one",
                                            {kJob}};
inline constexpr Metric kJobState{
    "equipoise_job_state", Type::kGauge, "1", "1 for the state a job is in, 0 for the others", {kJob, kState}};
inline constexpr Metric kCheckpoints{
    "equipoise_checkpoints_total", Type::kCounter, "1", "Checkpoints that ranks have written", {kJob}};
inline constexpr Metric kCheckpointStep{"equipoise_checkpoint_step",
                                        Type::kGauge,
                                        "1",
                                        "Steps done at the newest checkpoint, from which a restart would go on",
                                        {kJob}};
inline constexpr Metric kRestarts{"equipoise_restarts_total",
                                  Type::kCounter,
                                  "1",
                                  "Attempts started after the first one, resumes of people aside",
                                  {kJob, kCause}};
inline constexpr Metric kSkippedSteps{"equipoise_skipped_updates_total",
                                      Type::kCounter,
                                      "1",
                                      "Steps without weight update because a group's loss was not finite",
                                      {kJob, kGroup}};
inline constexpr Metric kStateWritable{"equipoise_state_writable",
                                       Type::kGauge,
                                       "1",
                                       "1 while the state can be stored, 0 since a write failed until one works again",
                                       {}};
inline constexpr Metric kStateFreeBytes{
    "equipoise_state_free_bytes", Type::kGauge, "bytes", "Free bytes of the disk of the state folder", {}};
inline constexpr Metric kCordonedHosts{"equipoise_cordoned_hosts",
                                       Type::kGauge,
                                       "1",
                                       "Hosts that are cordoned, by an operator or as they failed again and again",
                                       {}};
inline constexpr Metric kUnansweringHosts{"equipoise_unanswering_hosts",
                                          Type::kGauge,
                                          "1",
                                          "Hosts of the hostfile that were lost and are not used until they answer",
                                          {}};
inline constexpr Metric kRpcRequests{
    "equipoise_rpc_requests_total", Type::kCounter, "1", "RPCs answered", {kMethod, kCode}};

inline constexpr std::array kAll = {
    kGroupWeight,        kGroupLoss,     kGroupRewardAccuracy, kWorstGroupLoss,      kTrainStep,
    kTrainPairs,         kTrainTokens,   kStepSeconds,         kWeightUpdateSeconds, kWorkers,
    kRankStalledSeconds, kJobState,      kCheckpoints,         kCheckpointStep,      kRestarts,
    kSkippedSteps,       kStateWritable, kStateFreeBytes,      kCordonedHosts,       kUnansweringHosts,
    kRpcRequests};

}  // namespace equipoise::metrics
