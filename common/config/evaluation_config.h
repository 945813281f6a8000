// Section `evaluation` of a job: its setting, its range and checks.
#pragma once

#include <cstdint>

namespace equipoise {

namespace v1 {
class EvaluationSpec;
}  // namespace v1
struct JobConfig;

// Steps between evaluations; 0, the default: only before the first step and after the last. Throws
// std::invalid_argument as make_job_config.
std::int64_t evaluation_every_steps(const v1::EvaluationSpec& spec);

// Evaluations need data.
void check_evaluation_combinations(const JobConfig& config);

// Back to the message.
void resolve_evaluation(const JobConfig& config, v1::EvaluationSpec& spec);

}  // namespace equipoise
