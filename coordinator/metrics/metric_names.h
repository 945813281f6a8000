// Every metric that Prometheus sees: name, unit, meaning, labels. The coordinator exposes them, dashboards read them.
#pragma once

#include <array>
#include <span>
#include <string_view>

namespace equipoise::metrics {

enum class Type { kGauge, kCounter, kHistogram };

struct Metric {
  std::string_view name;  // with the prefix equipoise_, or as all programs have it that Prometheus reads
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
inline constexpr std::string_view kName = "name";  // of a job, as people gave it
inline constexpr std::string_view kOutcome =
    "outcome";  // of a step: "counted", "skipped", "repeated"; of a try to send: "delivered", "refused", "failed"
inline constexpr std::string_view kStatistic = "statistic";  // over the ranks of a job: "median", "max"
inline constexpr std::string_view kVersion = "version";
inline constexpr std::string_view kRevision = "revision";

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
inline constexpr Metric kSkippedGradients{"equipoise_skipped_gradients_total",
                                          Type::kCounter,
                                          "1",
                                          "Steps that changed no parameter because the gradient was not finite",
                                          {kJob}};
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
inline constexpr Metric kJobInfo{
    "equipoise_job_info", Type::kGauge, "1", "1; the label says which name the job has", {kJob, kName}};
inline constexpr Metric kPlannedSteps{
    "equipoise_train_planned_steps", Type::kGauge, "1", "Optimiser steps after which the job's plan ends", {kJob}};
inline constexpr Metric kLastStepTime{"equipoise_last_step_timestamp_seconds",
                                      Type::kGauge,
                                      "seconds",
                                      "Unix time at which the newest step was reported",
                                      {kJob}};
inline constexpr Metric kStepTime{"equipoise_step_time_seconds_total",
                                  Type::kCounter,
                                  "seconds",
                                  "Time between reports of steps, by whether the step moved the weights for the first "
                                  "time, was skipped, or was done before an attempt was lost",
                                  {kJob, kOutcome}};
inline constexpr Metric kJobStateTime{"equipoise_job_state_seconds_total",
                                      Type::kCounter,
                                      "seconds",
                                      "Time that a job has spent in a state while this coordinator ran",
                                      {kJob, kState}};
inline constexpr Metric kGoodput{"equipoise_goodput_ratio",
                                 Type::kGauge,
                                 "1",
                                 "Share of the time in which a job had an attempt, or waited to start again, that went "
                                 "into counted steps",
                                 {kJob}};
inline constexpr Metric kRisingEvaluations{"equipoise_worst_group_rising_evaluations",
                                           Type::kGauge,
                                           "1",
                                           "Evaluations in a row at which the worst group's loss was above the one "
                                           "before",
                                           {kJob, kSplit}};
inline constexpr Metric kCheckpointTime{"equipoise_checkpoint_timestamp_seconds",
                                        Type::kGauge,
                                        "seconds",
                                        "Unix time at which the newest checkpoint was whole",
                                        {kJob}};
inline constexpr Metric kCheckpointBytes{
    "equipoise_checkpoint_bytes", Type::kGauge, "bytes", "Size of the newest checkpoint", {kJob}};
inline constexpr Metric kCheckpointDuration{"equipoise_checkpoint_duration_seconds",
                                            Type::kGauge,
                                            "seconds",
                                            "Time from the step of the newest checkpoint until it was whole",
                                            {kJob}};
inline constexpr Metric kRanks{
    "equipoise_ranks", Type::kGauge, "1", "Ranks that are registered and not finished, by phase", {kJob, kPhase}};
inline constexpr Metric kRankLag{"equipoise_rank_lag_seconds",
                                 Type::kGauge,
                                 "seconds",
                                 "Time since ranks went on in their phase, those that wait for others included",
                                 {kJob, kStatistic}};
inline constexpr Metric kJobs{"equipoise_jobs", Type::kGauge, "1", "Jobs by state; those queued wait", {kState}};
inline constexpr Metric kSlots{
    "equipoise_slots", Type::kGauge, "1", "Slots of the hostfile: free, used, or on hosts that are not used", {kState}};
inline constexpr Metric kStateDiskBytes{
    "equipoise_state_disk_bytes", Type::kGauge, "bytes", "Size of the disk of the state folder", {}};
inline constexpr Metric kDatabaseBytes{
    "equipoise_state_database_bytes", Type::kGauge, "bytes", "Size of the database with its log", {}};
inline constexpr Metric kWebhookTries{"equipoise_webhook_tries_total",
                                      Type::kCounter,
                                      "1",
                                      "Tries to send an event of a job to the webhook, by outcome",
                                      {kOutcome}};
inline constexpr Metric kWebhookAge{
    "equipoise_webhook_age_seconds", Type::kGauge, "seconds", "Age of the oldest event that is yet to be sent", {}};
inline constexpr Metric kBuildInfo{
    "equipoise_build_info", Type::kGauge, "1", "1; the labels say which coordinator this is", {kVersion, kRevision}};
inline constexpr Metric kRpcRequests{
    "equipoise_rpc_requests_total", Type::kCounter, "1", "RPCs answered", {kMethod, kCode}};

// Of the process: names, units and meanings are those of all Prometheus client libraries.
inline constexpr Metric kProcessCpu{
    "process_cpu_seconds_total", Type::kCounter, "seconds", "Total user and system CPU time spent in seconds", {}};
inline constexpr Metric kProcessResident{
    "process_resident_memory_bytes", Type::kGauge, "bytes", "Resident memory size in bytes", {}};
inline constexpr Metric kProcessVirtual{
    "process_virtual_memory_bytes", Type::kGauge, "bytes", "Virtual memory size in bytes", {}};
inline constexpr Metric kProcessOpenFds{"process_open_fds", Type::kGauge, "1", "Number of open file descriptors", {}};
inline constexpr Metric kProcessMaxFds{
    "process_max_fds", Type::kGauge, "1", "Maximum number of open file descriptors", {}};
inline constexpr Metric kProcessThreads{
    "process_threads", Type::kGauge, "1", "Number of operating system threads in the process", {}};
inline constexpr Metric kProcessStartTime{"process_start_time_seconds",
                                          Type::kGauge,
                                          "seconds",
                                          "Start time of the process since the unix epoch in seconds",
                                          {}};

inline constexpr std::array kOfProcess = {kProcessCpu,    kProcessResident, kProcessVirtual,  kProcessOpenFds,
                                          kProcessMaxFds, kProcessThreads,  kProcessStartTime};

inline constexpr std::array kAll = {kGroupWeight,
                                    kGroupLoss,
                                    kGroupRewardAccuracy,
                                    kWorstGroupLoss,
                                    kTrainStep,
                                    kTrainPairs,
                                    kTrainTokens,
                                    kStepSeconds,
                                    kWeightUpdateSeconds,
                                    kWorkers,
                                    kRankStalledSeconds,
                                    kJobState,
                                    kCheckpoints,
                                    kCheckpointStep,
                                    kRestarts,
                                    kSkippedSteps,
                                    kSkippedGradients,
                                    kStateWritable,
                                    kStateFreeBytes,
                                    kCordonedHosts,
                                    kUnansweringHosts,
                                    kRpcRequests,
                                    kJobInfo,
                                    kPlannedSteps,
                                    kLastStepTime,
                                    kStepTime,
                                    kJobStateTime,
                                    kGoodput,
                                    kRisingEvaluations,
                                    kCheckpointTime,
                                    kCheckpointBytes,
                                    kCheckpointDuration,
                                    kRanks,
                                    kRankLag,
                                    kJobs,
                                    kSlots,
                                    kStateDiskBytes,
                                    kDatabaseBytes,
                                    kBuildInfo,
                                    kWebhookTries,
                                    kWebhookAge};

}  // namespace equipoise::metrics
