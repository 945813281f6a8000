#include "coordinator/access/call_rules.h"

#include <algorithm>
#include <array>

namespace equipoise::coordinator {
namespace {

constexpr auto kViewer = Role::kViewer;
constexpr auto kOperator = Role::kOperator;
constexpr auto kAdmin = Role::kAdmin;
constexpr auto kAnswer = CallKind::kAnswer;
constexpr auto kStream = CallKind::kStream;
constexpr auto kRank = CallKind::kRank;

constexpr std::array kRules{
    CallRule{"TrainingJobService/GetTrainingJob", kViewer, kAnswer},
    CallRule{"TrainingJobService/ListTrainingJobs", kViewer, kAnswer},
    CallRule{"TrainingJobService/WatchTrainingJob", kViewer, kStream},
    CallRule{"TrainingJobService/ListGroupWeights", kViewer, kAnswer},
    CallRule{"TrainingJobService/ListAttempts", kViewer, kAnswer},
    CallRule{"TrainingJobService/ListCheckpoints", kViewer, kAnswer},
    CallRule{"TrainingJobService/ListEvents", kViewer, kAnswer},
    CallRule{"TrainingJobService/ListRanks", kViewer, kAnswer},
    CallRule{"TrainingJobService/CreateTrainingJob", kOperator, kAnswer},
    CallRule{"TrainingJobService/ForkTrainingJob", kOperator, kAnswer},
    CallRule{"TrainingJobService/UpdateTrainingJob", kOperator, kAnswer},
    CallRule{"TrainingJobService/PauseTrainingJob", kOperator, kAnswer},
    CallRule{"TrainingJobService/ResumeTrainingJob", kOperator, kAnswer},
    CallRule{"TrainingJobService/CheckpointTrainingJob", kOperator, kAnswer},
    CallRule{"TrainingJobService/EvaluateTrainingJob", kOperator, kAnswer},
    CallRule{"TrainingJobService/CancelTrainingJob", kOperator, kAnswer},
    CallRule{"TrainingJobService/DeleteTrainingJob", kAdmin, kAnswer},
    CallRule{"HostService/ListHosts", kViewer, kAnswer},
    CallRule{"HostService/CordonHost", kOperator, kAnswer},
    CallRule{"HostService/UncordonHost", kOperator, kAnswer},
    CallRule{"Health/Check", kViewer, kAnswer},
    CallRule{"Health/Watch", kViewer, kStream},
    CallRule{"ServerReflection/ServerReflectionInfo", kViewer, kStream},
    CallRule{"WorkerService/RegisterWorker", kOperator, kRank},
    CallRule{"WorkerService/StartTraining", kOperator, kRank},
    CallRule{"WorkerService/ReportStep", kOperator, kRank},
    CallRule{"WorkerService/ReportSteps", kOperator, kRank},
    CallRule{"WorkerService/GetGroupWeights", kOperator, kRank},
    CallRule{"WorkerService/ReportMetrics", kOperator, kRank},
    CallRule{"WorkerService/CommitCheckpoint", kOperator, kRank},
    CallRule{"WorkerService/ApplySettings", kOperator, kRank},
    CallRule{"WorkerService/Heartbeat", kOperator, kRank},
    CallRule{"WorkerService/FinishWorker", kOperator, kRank},
    CallRule{"WorkerService/LeaveWorker", kOperator, kRank},
    CallRule{"WorkerService/FailWorker", kOperator, kRank},
};

}  // namespace

std::span<const CallRule> call_rules() { return kRules; }

const CallRule* rule_of(std::string_view method) {
  const auto* const rule = std::ranges::find(kRules, method, &CallRule::method);
  return rule == kRules.end() ? nullptr : rule;
}

}  // namespace equipoise::coordinator
