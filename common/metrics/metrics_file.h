// The fields of metrics.jsonl: one JSON object per logged step or evaluation. Workers write it, the client reads it.
// float64 values have 17 significant digits.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace equipoise::metrics_file {

inline constexpr std::string_view kFileName = "metrics.jsonl";  // in JobSpec.output

inline constexpr std::string_view kStep = "step";    // optimiser steps done, from 0 (before the first)
inline constexpr std::string_view kEpoch = "epoch";  // epochs done, fractional
inline constexpr std::string_view kSplit = "split";  // on evaluation lines only
inline constexpr std::string_view kSplitValidation = "validation";
inline constexpr std::string_view kSplitTest = "test";

// Lines of training. Names of the first eleven are TRL's.
inline constexpr std::string_view kLoss = "loss";           // the backpropagated value
inline constexpr std::string_view kGradNorm = "grad_norm";  // before clipping
inline constexpr std::string_view kLearningRate = "learning_rate";
inline constexpr std::string_view kRewardsChosen = "rewards/chosen";
inline constexpr std::string_view kRewardsRejected = "rewards/rejected";
inline constexpr std::string_view kRewardsAccuracies = "rewards/accuracies";
inline constexpr std::string_view kRewardsMargins = "rewards/margins";
inline constexpr std::string_view kLogpsChosen = "logps/chosen";
inline constexpr std::string_view kLogpsRejected = "logps/rejected";
inline constexpr std::string_view kPairsPerSecond = "pairs_per_second";
inline constexpr std::string_view kTokensPerSecond = "tokens_per_second";

// Objects from group name to number.
inline constexpr std::string_view kGroupLoss = "group_loss";               // mean over the group's pairs in the batch
inline constexpr std::string_view kGroupExcessLoss = "group_excess_loss";  // group_loss - b_g, with robust.baseline
inline constexpr std::string_view kGroupNll = "group_nll_loss";            // with loss.sft_weight
inline constexpr std::string_view kGroupWeight = "group_weight";           // alpha after the step
inline constexpr std::string_view kGroupCount = "group_count";             // n_g
inline constexpr std::string_view kGroupAccuracy = "group_accuracy";       // reward accuracy
inline constexpr std::string_view kGroupReward = "group_reward";           // log-linear policies
inline constexpr std::string_view kRewardError = "reward_error";           // (optimal - reward) / optimal
inline constexpr std::string_view kMaxRewardError = "max_reward_error";
inline constexpr std::string_view kWorstGroupLoss = "worst_group_loss";
inline constexpr std::string_view kWorstGroupExcessLoss = "worst_group_excess_loss";
inline constexpr std::string_view kNll = "nll_loss";  // -log pi(y+|x) per token of the chosen answer, mean over pairs
inline constexpr std::string_view kTheta = "theta";   // a list

// Evaluation lines repeat TRL's names with this prefix: "eval_loss", "eval_rewards/chosen".
inline constexpr std::string_view kEvalPrefix = "eval_";

// "group/India/loss", the flat form for programs that plot one number per name.
inline std::string group_field(std::string_view group, std::string_view quantity) {
  return "group/" + std::string(group) + "/" + std::string(quantity);
}
inline constexpr std::array<std::string_view, 3> kGroupQuantities = {"loss", "weight", "accuracy"};

}  // namespace equipoise::metrics_file
