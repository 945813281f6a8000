#include "common/config/evaluation_config.h"

#include "common/config/field_check.h"
#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

std::int64_t evaluation_every_steps(const v1::EvaluationSpec& spec) {
  return checked_integer("evaluation.every_steps", spec.every_steps(), {0, kMaxSteps});
}

void check_evaluation_combinations(const JobConfig& config) {
  if (config.evaluation_every_steps == 0 || !validation_files(config.data).empty()) return;
  refuse_combination("evaluation.every_steps needs data.validation; add it, or set every_steps to 0");
}

void resolve_evaluation(const JobConfig& config, v1::EvaluationSpec& spec) {
  spec.set_every_steps(config.evaluation_every_steps);
}

}  // namespace equipoise
