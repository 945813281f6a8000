// metrics.jsonl: one JSON object per logged step, evaluation, test and setting that people have changed, and every
// field that a line may have. Workers write it (worker/training/metrics_file.h), the client reads it
// (client/report/metrics_reader.h); docs/formats.md has the same table with what each field means. float64 values are
// written so that reading gives the same bits; null is a number that is not finite.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace equipoise::metrics_schema {

inline constexpr std::string_view kFileName = "metrics.jsonl";  // in JobSpec.output

enum class Type {
  kInteger,
  kNumber,
  kText,
  kFlag,     // true, or not there
  kNumbers,  // a list
  kByGroup,  // an object from group name to number
};

// Which lines a field may be on.
enum Lines : unsigned { kStepLine = 1, kEvaluationLine = 2, kTestLine = 4, kSettingsLine = 8 };

// Where a name has a prefix on evaluation lines.
enum class Prefix {
  kNone,
  kEval,  // "eval_", or "eval_FILE_" on the line of one file: TRL's way to name means over validation pairs
};

// Whether "NAME_error", the standard error of the mean NAME, may stand beside it.
enum class Error { kNone, kStandard };

// Units: "loss" is the unit of the job's loss (nats for dpo), "1" of a number without one.
struct Field {
  std::string_view name;
  Type type;
  std::string_view unit;
  unsigned lines;
  Prefix prefix = Prefix::kNone;
  Error error = Error::kNone;
};

inline constexpr unsigned kMeans = kStepLine | kEvaluationLine;

inline constexpr Field kStep{"step", Type::kInteger, "steps", kStepLine | kEvaluationLine | kTestLine | kSettingsLine};
inline constexpr Field kEpoch{"epoch", Type::kNumber, "epochs", kMeans};
inline constexpr Field kSplit{"split", Type::kText, "1", kEvaluationLine | kTestLine | kSettingsLine};
inline constexpr std::string_view kSplitValidation = "validation";  // "validation/FILE" of one file's pairs
inline constexpr std::string_view kSplitTest = "test";
inline constexpr std::string_view kSplitSettings = "settings";  // no pairs: so that who reads steps passes it by

// Of a setting that was changed while the job ran.
inline constexpr Field kSetting{"setting", Type::kText, "1", kSettingsLine};
inline constexpr Field kFrom{"from", Type::kNumber, "1", kSettingsLine};
inline constexpr Field kTo{"to", Type::kNumber, "1", kSettingsLine};
inline constexpr Field kSettingsVersion{"settings_version", Type::kInteger, "1", kSettingsLine};
inline constexpr Field kRequester{"requester", Type::kText, "1", kSettingsLine};

// Of the step or of all pairs. Names of the first ten are TRL's.
inline constexpr Field kLoss{"loss", Type::kNumber, "loss", kMeans, Prefix::kEval, Error::kStandard};
inline constexpr Field kGradNorm{"grad_norm", Type::kNumber, "loss", kStepLine};
inline constexpr Field kLearningRate{"learning_rate", Type::kNumber, "1", kStepLine};
inline constexpr Field kRewardsChosen{"rewards/chosen", Type::kNumber, "nats", kMeans, Prefix::kEval, Error::kStandard};
inline constexpr Field kRewardsRejected{"rewards/rejected", Type::kNumber,   "nats", kMeans,
                                        Prefix::kEval,      Error::kStandard};
inline constexpr Field kRewardsAccuracies{"rewards/accuracies", Type::kNumber,   "share", kMeans,
                                          Prefix::kEval,        Error::kStandard};
inline constexpr Field kRewardsMargins{"rewards/margins", Type::kNumber,   "nats", kMeans,
                                       Prefix::kEval,     Error::kStandard};
inline constexpr Field kLogpsChosen{"logps/chosen", Type::kNumber, "nats", kMeans, Prefix::kEval, Error::kStandard};
inline constexpr Field kLogpsRejected{"logps/rejected", Type::kNumber, "nats", kMeans, Prefix::kEval, Error::kStandard};
inline constexpr Field kNumTokens{"num_tokens", Type::kInteger, "tokens", kStepLine};
inline constexpr Field kEntropy{"entropy", Type::kNumber, "nats", kMeans, Prefix::kEval, Error::kStandard};
inline constexpr Field kTokenAccuracy{"mean_token_accuracy", Type::kNumber,   "share", kMeans,
                                      Prefix::kEval,         Error::kStandard};
inline constexpr Field kLogitsChosen{"logits/chosen", Type::kNumber, "1", kMeans, Prefix::kEval, Error::kStandard};
inline constexpr Field kLogitsRejected{"logits/rejected", Type::kNumber, "1", kMeans, Prefix::kEval, Error::kStandard};
inline constexpr Field kNll{"nll_loss", Type::kNumber, "nats", kMeans, Prefix::kEval, Error::kStandard};
inline constexpr Field kPairs{"pairs", Type::kNumber, "pairs", kEvaluationLine, Prefix::kEval};
inline constexpr Field kSkipped{"skipped", Type::kFlag, "1", kStepLine};
inline constexpr Field kTheta{"theta", Type::kNumbers, "1", kStepLine | kEvaluationLine | kTestLine};
inline constexpr Field kPairsPerSecond{"pairs_per_second", Type::kNumber, "pairs/s", kStepLine};
inline constexpr Field kTokensPerSecond{"tokens_per_second", Type::kNumber, "tokens/s", kStepLine};

// By group: those of the batch, or of the validation pairs.
inline constexpr Field kGroupLoss{"group_loss", Type::kByGroup, "loss", kMeans, Prefix::kNone, Error::kStandard};
inline constexpr Field kGroupExcessLoss{"group_excess_loss", Type::kByGroup, "loss", kMeans};
inline constexpr Field kGroupNll{"group_nll_loss", Type::kByGroup, "nats", kMeans, Prefix::kNone, Error::kStandard};
inline constexpr Field kGroupAccuracy{"group_accuracy", Type::kByGroup, "share",
                                      kMeans,           Prefix::kNone,  Error::kStandard};
inline constexpr Field kGroupMargin{"group_margin", Type::kByGroup, "nats", kMeans, Prefix::kNone, Error::kStandard};
inline constexpr Field kGroupRewardsChosen{"group_rewards/chosen", Type::kByGroup,  "nats", kMeans,
                                           Prefix::kNone,          Error::kStandard};
inline constexpr Field kGroupRewardsRejected{"group_rewards/rejected", Type::kByGroup, "nats", kMeans, Prefix::kNone,
                                             Error::kStandard};
inline constexpr Field kGroupLogpsChosen{"group_logps/chosen", Type::kByGroup,  "nats", kMeans,
                                         Prefix::kNone,        Error::kStandard};
inline constexpr Field kGroupLogpsRejected{"group_logps/rejected", Type::kByGroup,  "nats", kMeans,
                                           Prefix::kNone,          Error::kStandard};
inline constexpr Field kGroupCount{"group_count", Type::kByGroup, "pairs", kMeans};
inline constexpr Field kGroupWeight{"group_weight", Type::kByGroup, "share", kMeans};
inline constexpr Field kGroupLogpAccuracy{"group_logp_accuracy", Type::kByGroup, "share",
                                          kEvaluationLine,       Prefix::kNone,  Error::kStandard};
inline constexpr Field kGroupEntropy{"group_entropy", Type::kByGroup, "nats",
                                     kEvaluationLine, Prefix::kNone,  Error::kStandard};
inline constexpr Field kGroupTokenAccuracy{
    "group_mean_token_accuracy", Type::kByGroup, "share", kEvaluationLine, Prefix::kNone, Error::kStandard};
inline constexpr Field kGroupLogitsChosen{"group_logits/chosen", Type::kByGroup, "1",
                                          kEvaluationLine,       Prefix::kNone,  Error::kStandard};
inline constexpr Field kGroupLogitsRejected{"group_logits/rejected", Type::kByGroup, "1",
                                            kEvaluationLine,         Prefix::kNone,  Error::kStandard};
inline constexpr Field kGroupReward{"group_reward", Type::kByGroup, "reward", kTestLine};
inline constexpr Field kOptimalReward{"optimal_reward", Type::kByGroup, "reward", kTestLine};
inline constexpr Field kRewardError{"reward_error", Type::kByGroup, "share", kTestLine};

// Over the groups.
inline constexpr Field kWorstGroup{"worst_group", Type::kText, "1", kEvaluationLine};
inline constexpr Field kWorstGroupLoss{"worst_group_loss", Type::kNumber, "loss", kEvaluationLine};
inline constexpr Field kWorstGroupExcessLoss{"worst_group_excess_loss", Type::kNumber, "loss", kMeans};
inline constexpr Field kMinGroupAccuracy{"min_group_accuracy", Type::kNumber, "share", kEvaluationLine};
inline constexpr Field kRobustGap{"robust_gap", Type::kNumber, "loss", kEvaluationLine};
inline constexpr Field kMaxRewardError{"max_reward_error", Type::kNumber, "share", kTestLine};

// "group/NAME/loss", the flat form of an object by group, for programs that plot one number per name. `name` is the
// last part.
inline constexpr Field kFlatLoss{"loss", Type::kNumber, "loss", kMeans, Prefix::kEval};
inline constexpr Field kFlatAccuracy{"accuracy", Type::kNumber, "share", kMeans, Prefix::kEval};
inline constexpr Field kFlatExcessLoss{"excess_loss", Type::kNumber, "loss", kMeans, Prefix::kEval};
inline constexpr Field kFlatWeight{"weight", Type::kNumber, "share", kStepLine};

inline std::string flat_name(std::string_view group, std::string_view quantity) {
  return "group/" + std::string(group) + "/" + std::string(quantity);
}

inline constexpr std::string_view kEvalPrefix = "eval_";
inline constexpr std::string_view kErrorSuffix = "_error";

inline constexpr std::array kFields = {
    &kStep,
    &kEpoch,
    &kSplit,
    &kSetting,
    &kFrom,
    &kTo,
    &kSettingsVersion,
    &kRequester,
    &kLoss,
    &kGradNorm,
    &kLearningRate,
    &kSkipped,
    &kRewardsChosen,
    &kRewardsRejected,
    &kRewardsAccuracies,
    &kRewardsMargins,
    &kLogpsChosen,
    &kLogpsRejected,
    &kEntropy,
    &kTokenAccuracy,
    &kLogitsChosen,
    &kLogitsRejected,
    &kNll,
    &kPairs,
    &kNumTokens,
    &kPairsPerSecond,
    &kTokensPerSecond,
    &kTheta,
    &kGroupLoss,
    &kGroupExcessLoss,
    &kGroupNll,
    &kGroupAccuracy,
    &kGroupMargin,
    &kGroupRewardsChosen,
    &kGroupRewardsRejected,
    &kGroupLogpsChosen,
    &kGroupLogpsRejected,
    &kGroupWeight,
    &kGroupCount,
    &kGroupLogpAccuracy,
    &kGroupEntropy,
    &kGroupTokenAccuracy,
    &kGroupLogitsChosen,
    &kGroupLogitsRejected,
    &kGroupReward,
    &kOptimalReward,
    &kRewardError,
    &kWorstGroup,
    &kWorstGroupLoss,
    &kWorstGroupExcessLoss,
    &kMinGroupAccuracy,
    &kRobustGap,
    &kMaxRewardError,
};

inline constexpr std::array kFlatFields = {&kFlatLoss, &kFlatAccuracy, &kFlatExcessLoss, &kFlatWeight};

}  // namespace equipoise::metrics_schema
