#include "experiments/opinions/opinion_jobs.h"

#include <stdexcept>

#include "common/base/error.h"
#include "common/config/job_file.h"

namespace equipoise::reproduce {
namespace {

RobustMode robust_mode(Method method) {
  if (method == plain_method(family_of(method))) return RobustMode::kNone;
  return method == robust_method(family_of(method)) ? RobustMode::kGroupRobust : RobustMode::kImportance;
}

// experiments/opinions/jobs/NAME.yaml and, for a quick look, what jobs/QUICK.yaml changes in it.
v1::JobSpec built_in_job(const std::string& name, OpinionScale scale, const std::string& quick) {
  v1::JobSpec spec;
  const auto merge = [&spec](const std::string& file) {
    merge_job_text(file, std::string(built_in_job_file(file)), spec);
  };
  merge(name + ".yaml");
  if (scale == OpinionScale::kQuick) merge(quick + ".yaml");
  return spec;
}

// Paths where there are none yet, so that the job can be checked.
v1::JobSpec with_paths(v1::JobSpec spec) {
  if (spec.name().empty()) spec.set_name("run");
  if (spec.output().empty()) spec.set_output("run");
  if (spec.model().path().empty()) spec.mutable_model()->set_path("model");
  if (spec.data().train().empty()) spec.mutable_data()->set_train("train.jsonl");
  if (spec.data().validation().empty()) spec.mutable_data()->set_validation("validation.jsonl");
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
  OpinionJobs jobs;
  jobs.sft = built_in_job(kSftName, scale, "quick-sft");
  for (std::size_t m = 0; m < kOpinionMethods.size(); ++m) {
    jobs.methods[m] = built_in_job(opinion_job_name(kOpinionMethods[m]), scale, "quick-methods");
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

JobConfig opinion_job_config(const v1::JobSpec& spec) { return make_job_config(with_paths(spec)); }

v1::JobSpec opinion_job_defaults(const v1::JobSpec& spec) {
  const v1::JobSpec job = with_paths(spec);
  return resolve_defaults(job, make_job_config(job));
}

}  // namespace equipoise::reproduce
