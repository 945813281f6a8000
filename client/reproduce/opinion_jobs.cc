#include "client/reproduce/opinion_jobs.h"

#include <cstdint>
#include <stdexcept>

#include "common/base/error.h"
#include "common/config/job_file.h"

namespace equipoise::reproduce {
namespace {

struct Scale {
  std::int64_t sft_steps;
  std::int64_t steps;
  std::int64_t batch;
  std::int64_t evaluations;  // over the run, after the first
};

constexpr Scale kReducedScale{.sft_steps = 220, .steps = 150, .batch = 32, .evaluations = 5};
constexpr Scale kQuickScale{.sft_steps = 12, .steps = 8, .batch = 16, .evaluations = 2};

constexpr int kMaxLength = 256;  // longer than any prompt of the surveys known here with a vocabulary of 2048
constexpr double kSftLearningRate = 1e-3;
constexpr double kLearningRate = 2e-4;
constexpr std::int64_t kWarmupSteps = 10;
constexpr double kBeta = 0.1;  // DPO's usual one; IPO then aims at h = 1/(2 beta) = 5
constexpr double kDpoAlphaStep = 0.3;
// IPO's losses begin at 1/(4 beta^2) = 25 instead of log 2: 36 times as large, so the step is 36 times as small.
constexpr double kIpoAlphaStep = 0.3 / 36;

v1::JobSpec common_settings(const Scale& scale, std::int64_t steps, double learning_rate) {
  v1::JobSpec spec;
  spec.mutable_data()->set_max_length(kMaxLength);
  spec.mutable_optimizer()->set_learning_rate(learning_rate);
  spec.mutable_optimizer()->mutable_schedule()->set_warmup_steps(kWarmupSteps);
  spec.mutable_training()->set_max_steps(steps);
  spec.mutable_training()->set_global_batch_size(scale.batch);
  return spec;
}

RobustMode robust_mode(Method method) {
  if (method == plain_method(family_of(method))) return RobustMode::kNone;
  return method == robust_method(family_of(method)) ? RobustMode::kGroupRobust : RobustMode::kImportance;
}

v1::JobSpec method_settings(const Scale& scale, Method method) {
  v1::JobSpec spec = common_settings(scale, scale.steps, kLearningRate);
  const bool dpo = family_of(method) == Family::kDpo;
  spec.mutable_loss()->set_type(dpo ? v1::LOSS_TYPE_DPO : v1::LOSS_TYPE_IPO);
  spec.mutable_loss()->set_beta(kBeta);
  // Every batch has every group, so that the weights follow losses and not attendance; alike for all methods.
  spec.mutable_training()->set_sampling(v1::SAMPLING_STRATIFIED);
  spec.mutable_evaluation()->set_every_steps(scale.steps / scale.evaluations);
  switch (robust_mode(method)) {
    case RobustMode::kNone:
      break;
    case RobustMode::kImportance:
      spec.mutable_robust()->set_mode(v1::ROBUST_MODE_IMPORTANCE);
      break;
    case RobustMode::kGroupRobust:
      spec.mutable_robust()->set_mode(v1::ROBUST_MODE_GROUP_ROBUST);
      spec.mutable_robust()->set_step_size(dpo ? kDpoAlphaStep : kIpoAlphaStep);
      break;
  }
  return spec;
}

v1::JobSpec read_method(const std::filesystem::path& folder, Method method) {
  const std::filesystem::path file = folder / (opinion_job_name(method) + ".yaml");
  v1::JobSpec spec = read_job_file(file, {});
  const JobConfig job = opinion_job_config(spec);
  const LossType wanted = family_of(method) == Family::kDpo ? LossType::kDpo : LossType::kIpo;
  if (job.loss.type != wanted || job.robust.settings.mode != robust_mode(method)) {
    throw std::invalid_argument(file.string() + ": loss.type or robust.mode is not that of " +
                                std::string(method_name(method)));
  }
  return spec;
}

}  // namespace

std::string opinion_job_name(Method method) {
  switch (method) {
    case Method::kDpo:
      return "dpo";
    case Method::kIsDpo:
      return "is-dpo";
    case Method::kGrDpo:
      return "gr-dpo";
    case Method::kIpo:
      return "ipo";
    case Method::kIsIpo:
      return "is-ipo";
    case Method::kGrIpo:
      return "gr-ipo";
    case Method::kGrIpoAuthors:
      break;
  }
  check_failed("a method of the language-model experiment", __FILE__, __LINE__);
}

OpinionJobs built_in_opinion_jobs(OpinionScale scale) {
  const Scale& sizes = scale == OpinionScale::kQuick ? kQuickScale : kReducedScale;
  OpinionJobs jobs;
  jobs.sft = common_settings(sizes, sizes.sft_steps, kSftLearningRate);
  jobs.sft.mutable_loss()->set_type(v1::LOSS_TYPE_SFT);
  for (std::size_t m = 0; m < kOpinionMethods.size(); ++m) {
    jobs.methods[m] = method_settings(sizes, kOpinionMethods[m]);
  }
  return jobs;
}

OpinionJobs read_opinion_jobs(const std::filesystem::path& folder) {
  OpinionJobs jobs;
  const std::filesystem::path sft = folder / (std::string(kSftName) + ".yaml");
  jobs.sft = read_job_file(sft, {});
  if (opinion_job_config(jobs.sft).loss.type != LossType::kSft) {
    throw std::invalid_argument(sft.string() + ": loss.type is not sft");
  }
  for (std::size_t m = 0; m < kOpinionMethods.size(); ++m) jobs.methods[m] = read_method(folder, kOpinionMethods[m]);
  return jobs;
}

JobConfig opinion_job_config(v1::JobSpec spec) {
  if (spec.name().empty()) spec.set_name("run");
  if (spec.output().empty()) spec.set_output("run");
  if (spec.model().path().empty()) spec.mutable_model()->set_path("model");
  if (spec.data().train().empty()) spec.mutable_data()->set_train("train.jsonl");
  if (spec.data().validation().empty()) spec.mutable_data()->set_validation("validation.jsonl");
  return make_job_config(spec);
}

}  // namespace equipoise::reproduce
