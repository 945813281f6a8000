// Section `policy.log_linear` of a job: its settings, their defaults, ranges and checks, and what a job with it, or
// without, cannot have.
#pragma once

#include "common/log_linear/problem.h"

namespace equipoise {

namespace v1 {
class JobSpec;
class LogLinearSpec;
}  // namespace v1
struct JobConfig;

struct LogLinearConfig {
  log_linear::Problem problem;  // has passed check_problem; initial_theta_D is D long
  bool closed_form = false;
  double ridge = 0.0;
  double projection_radius = 0.0;
};

// Throws std::invalid_argument as make_job_config.
LogLinearConfig log_linear_config(const v1::LogLinearSpec& spec);

// Settings that the policy of the job has no use for, or that need another one. `config` holds all other sections.
// Throws std::invalid_argument naming the field and the next move.
void check_policy_combinations(const v1::JobSpec& spec, const JobConfig& config);

// Back to the message, every default filled in.
void resolve_log_linear(const LogLinearConfig& config, v1::LogLinearSpec& spec);

}  // namespace equipoise
