// The enums of JobSpec and of JobConfig hold the same values in the same order; 0 of the message is "absent".
#pragma once

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// MESSAGE_VALUE - 1 == config value, for every pair below.
template <class Config, class Message>
constexpr Config config_enum(Message value) {
  return static_cast<Config>(static_cast<int>(value) - 1);
}

template <class Message, class Config>
constexpr Message message_enum(Config value) {
  return static_cast<Message>(static_cast<int>(value) + 1);
}

static_assert(config_enum<DType>(v1::D_TYPE_FLOAT32) == DType::kFloat32);
static_assert(config_enum<DType>(v1::D_TYPE_FLOAT64) == DType::kFloat64);
static_assert(config_enum<DType>(v1::D_TYPE_BFLOAT16) == DType::kBFloat16);
static_assert(v1::DType_MAX == v1::D_TYPE_BFLOAT16);
static_assert(config_enum<Quantization>(v1::QUANTIZATION_NONE) == Quantization::kNone);
static_assert(config_enum<Quantization>(v1::QUANTIZATION_NF4) == Quantization::kNf4);
static_assert(v1::Quantization_MAX == v1::QUANTIZATION_NF4);
static_assert(config_enum<LoraInit>(v1::LORA_INIT_KAIMING_UNIFORM) == LoraInit::kKaimingUniform);
static_assert(config_enum<LoraInit>(v1::LORA_INIT_GAUSSIAN) == LoraInit::kGaussian);
static_assert(v1::LoraInit_MAX == v1::LORA_INIT_GAUSSIAN);
static_assert(config_enum<Truncation>(v1::TRUNCATION_KEEP_START) == Truncation::kKeepStart);
static_assert(config_enum<Truncation>(v1::TRUNCATION_KEEP_END) == Truncation::kKeepEnd);
static_assert(config_enum<Truncation>(v1::TRUNCATION_DROP) == Truncation::kDrop);
static_assert(v1::Truncation_MAX == v1::TRUNCATION_DROP);
static_assert(config_enum<Tokenization>(v1::TOKENIZATION_TRL) == Tokenization::kTrl);
static_assert(config_enum<Tokenization>(v1::TOKENIZATION_AUTHORS) == Tokenization::kAuthors);
static_assert(v1::Tokenization_MAX == v1::TOKENIZATION_AUTHORS);
static_assert(config_enum<LossType>(v1::LOSS_TYPE_DPO) == LossType::kDpo);
static_assert(config_enum<LossType>(v1::LOSS_TYPE_IPO) == LossType::kIpo);
static_assert(config_enum<LossType>(v1::LOSS_TYPE_SFT) == LossType::kSft);
static_assert(config_enum<LossType>(v1::LOSS_TYPE_HINGE) == LossType::kHinge);
static_assert(config_enum<LossType>(v1::LOSS_TYPE_ROBUST) == LossType::kRobust);
static_assert(v1::LossType_MAX == v1::LOSS_TYPE_ROBUST);
static_assert(config_enum<SftAverage>(v1::SFT_AVERAGE_TOKEN) == SftAverage::kToken);
static_assert(config_enum<SftAverage>(v1::SFT_AVERAGE_SEQUENCE) == SftAverage::kSequence);
static_assert(v1::SftAverage_MAX == v1::SFT_AVERAGE_SEQUENCE);
static_assert(config_enum<RobustMode>(v1::ROBUST_MODE_NONE) == RobustMode::kNone);
static_assert(config_enum<RobustMode>(v1::ROBUST_MODE_IMPORTANCE) == RobustMode::kImportance);
static_assert(config_enum<RobustMode>(v1::ROBUST_MODE_GROUP_ROBUST) == RobustMode::kGroupRobust);
static_assert(v1::RobustMode_MAX == v1::ROBUST_MODE_GROUP_ROBUST);
static_assert(config_enum<Estimator>(v1::ESTIMATOR_BATCH_MEAN) == Estimator::kBatchMean);
static_assert(config_enum<Estimator>(v1::ESTIMATOR_DATASET_SCALED) == Estimator::kDatasetScaled);
static_assert(config_enum<Estimator>(v1::ESTIMATOR_BATCH_SUM) == Estimator::kBatchSum);
static_assert(config_enum<Estimator>(v1::ESTIMATOR_UNBIASED) == Estimator::kUnbiased);
static_assert(v1::Estimator_MAX == v1::ESTIMATOR_UNBIASED);
static_assert(config_enum<WeightUpdate>(v1::WEIGHT_UPDATE_BEFORE_GRADIENT) == WeightUpdate::kBeforeGradient);
static_assert(config_enum<WeightUpdate>(v1::WEIGHT_UPDATE_AFTER_GRADIENT) == WeightUpdate::kAfterGradient);
static_assert(v1::WeightUpdate_MAX == v1::WEIGHT_UPDATE_AFTER_GRADIENT);
static_assert(config_enum<AmbiguitySet>(v1::AMBIGUITY_SET_SIMPLEX) == AmbiguitySet::kSimplex);
static_assert(config_enum<AmbiguitySet>(v1::AMBIGUITY_SET_CVAR) == AmbiguitySet::kCvar);
static_assert(config_enum<AmbiguitySet>(v1::AMBIGUITY_SET_CHI_SQUARE) == AmbiguitySet::kChiSquare);
static_assert(config_enum<AmbiguitySet>(v1::AMBIGUITY_SET_KL) == AmbiguitySet::kKl);
static_assert(v1::AmbiguitySet_MAX == v1::AMBIGUITY_SET_KL);
static_assert(config_enum<Baseline>(v1::BASELINE_NONE) == Baseline::kNone);
static_assert(config_enum<Baseline>(v1::BASELINE_LABEL_ENTROPY) == Baseline::kLabelEntropy);
static_assert(config_enum<Baseline>(v1::BASELINE_GIVEN) == Baseline::kGiven);
static_assert(v1::Baseline_MAX == v1::BASELINE_GIVEN);
static_assert(config_enum<OptimizerType>(v1::OPTIMIZER_TYPE_ADAMW) == OptimizerType::kAdamW);
static_assert(config_enum<OptimizerType>(v1::OPTIMIZER_TYPE_SGD) == OptimizerType::kSgd);
static_assert(config_enum<OptimizerType>(v1::OPTIMIZER_TYPE_RMSPROP) == OptimizerType::kRmsProp);
static_assert(config_enum<OptimizerType>(v1::OPTIMIZER_TYPE_MUON) == OptimizerType::kMuon);
static_assert(v1::OptimizerType_MAX == v1::OPTIMIZER_TYPE_MUON);
static_assert(config_enum<MuonScale>(v1::MUON_SCALE_MATCH_RMS_ADAMW) == MuonScale::kMatchRmsAdamW);
static_assert(config_enum<MuonScale>(v1::MUON_SCALE_ORIGINAL) == MuonScale::kOriginal);
static_assert(v1::MuonScale_MAX == v1::MUON_SCALE_ORIGINAL);
static_assert(config_enum<ScheduleType>(v1::SCHEDULE_TYPE_CONSTANT) == ScheduleType::kConstant);
static_assert(config_enum<ScheduleType>(v1::SCHEDULE_TYPE_LINEAR) == ScheduleType::kLinear);
static_assert(config_enum<ScheduleType>(v1::SCHEDULE_TYPE_COSINE) == ScheduleType::kCosine);
static_assert(config_enum<ScheduleType>(v1::SCHEDULE_TYPE_PLATEAU) == ScheduleType::kPlateau);
static_assert(v1::ScheduleType_MAX == v1::SCHEDULE_TYPE_PLATEAU);
static_assert(config_enum<StopMode>(v1::STOP_MODE_MIN) == StopMode::kMin);
static_assert(config_enum<StopMode>(v1::STOP_MODE_MAX) == StopMode::kMax);
static_assert(v1::StopMode_MAX == v1::STOP_MODE_MAX);
static_assert(config_enum<WeightOrigin>(v1::WEIGHT_SYNC_COORDINATOR) == WeightOrigin::kCoordinator);
static_assert(config_enum<WeightOrigin>(v1::WEIGHT_SYNC_SPECULATIVE) == WeightOrigin::kSpeculative);
static_assert(v1::WeightSync_MAX == v1::WEIGHT_SYNC_SPECULATIVE);
static_assert(config_enum<Sampling>(v1::SAMPLING_PERMUTATION) == Sampling::kPermutation);
static_assert(config_enum<Sampling>(v1::SAMPLING_ONE_GROUP) == Sampling::kOneGroup);
static_assert(config_enum<Sampling>(v1::SAMPLING_STRATIFIED) == Sampling::kStratified);
static_assert(config_enum<Sampling>(v1::SAMPLING_AUTOMATIC) == Sampling::kAutomatic);
static_assert(v1::Sampling_MAX == v1::SAMPLING_AUTOMATIC);
static_assert(config_enum<log_linear::FeatureMap>(v1::FEATURE_MAP_SAME) == log_linear::FeatureMap::kSame);
static_assert(config_enum<log_linear::FeatureMap>(v1::FEATURE_MAP_SWAPPED) == log_linear::FeatureMap::kSwapped);
static_assert(config_enum<log_linear::FeatureMap>(v1::FEATURE_MAP_FLIPPED) == log_linear::FeatureMap::kFlipped);
static_assert(v1::FeatureMap_MAX == v1::FEATURE_MAP_FLIPPED);
static_assert(config_enum<LaunchMode>(v1::LAUNCH_MODE_COORDINATOR) == LaunchMode::kCoordinator);
static_assert(config_enum<LaunchMode>(v1::LAUNCH_MODE_EXTERNAL) == LaunchMode::kExternal);
static_assert(v1::LaunchMode_MAX == v1::LAUNCH_MODE_EXTERNAL);

}  // namespace equipoise
