#include "client/data/log_linear_files.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/data/output_folder.h"
#include "common/base/durable_file.h"
#include "common/config/job_file.h"
#include "common/log_linear/preference.h"

namespace equipoise {
namespace {

using log_linear::Preference;
using log_linear::Split;

std::vector<Preference> draw(const LogLinearFilesOptions& options, Split split) {
  log_linear::GeneratorSettings settings = options.train;
  settings.seed = log_linear::split_seed(options.train.seed, split);
  if (split != Split::kTrain) std::ranges::fill(settings.group_sizes_K, options.evaluation_size);
  return log_linear::generate_preferences(options.problem, settings);
}

v1::FeatureMap message_of(log_linear::FeatureMap features) {
  switch (features) {
    case log_linear::FeatureMap::kSame:
      return v1::FEATURE_MAP_SAME;
    case log_linear::FeatureMap::kSwapped:
      return v1::FEATURE_MAP_SWAPPED;
    case log_linear::FeatureMap::kFlipped:
      return v1::FEATURE_MAP_FLIPPED;
  }
  throw std::logic_error("a feature map without a name");
}

v1::LogLinearSpec policy_of(const log_linear::Problem& problem) {
  v1::LogLinearSpec policy;
  policy.set_features(message_of(problem.features));
  policy.set_actions(static_cast<std::int32_t>(problem.actions));
  for (const std::vector<double>& reward_D : problem.reward_KD) {
    google::protobuf::ListValue& row = *policy.add_reward();
    for (const double reward : reward_D) row.add_values()->set_number_value(reward);
  }
  policy.mutable_initial_theta()->Assign(problem.initial_theta_D.begin(), problem.initial_theta_D.end());
  return policy;
}

// The paper's GR-DPO of its first scenario.
v1::JobSpec job_of(const log_linear::Problem& problem) {
  v1::JobSpec job;
  job.set_name("log-linear-gr-dpo");
  *job.mutable_policy()->mutable_log_linear() = policy_of(problem);
  job.mutable_data()->set_train("train.jsonl");
  job.mutable_data()->set_validation("validation.jsonl");
  job.mutable_data()->set_test("test.jsonl");
  job.mutable_loss()->set_type(v1::LOSS_TYPE_DPO);
  job.mutable_loss()->set_beta(1);
  job.mutable_robust()->set_mode(v1::ROBUST_MODE_GROUP_ROBUST);
  job.mutable_robust()->set_step_size(0.9);
  job.mutable_optimizer()->set_learning_rate(0.5);
  job.mutable_training()->set_full_batch(true);
  job.mutable_training()->set_max_steps(10000);
  for (const std::int64_t step : {1, 2, 3, 10, 30, 100, 300, 1000, 3000, 10000}) {
    job.mutable_logging()->add_at_steps(step);
  }
  job.set_output("out");
  return job;
}

void check(const LogLinearFilesOptions& options, const std::filesystem::path& job) {
  if (options.train.seed > log_linear::kLargestSplitSeed) {
    throw std::invalid_argument("the seed is " + std::to_string(options.train.seed) + ", expected at most " +
                                std::to_string(log_linear::kLargestSplitSeed));
  }
  log_linear::check_problem(options.problem);
  if (std::filesystem::exists(job)) {
    throw std::invalid_argument(job.string() + " is there already, expected a folder without one");
  }
}

}  // namespace

LogLinearFiles write_log_linear_files(const LogLinearFilesOptions& options, const std::filesystem::path& output) {
  const LogLinearFiles files{.train = output / "train.jsonl",
                             .validation = output / "validation.jsonl",
                             .test = output / "test.jsonl",
                             .job = output / "job.yaml"};
  check(options, files.job);
  const std::vector<Preference> train = draw(options, Split::kTrain);
  const std::vector<Preference> validation = draw(options, Split::kValidation);
  const std::vector<Preference> test = draw(options, Split::kTest);
  make_output_folder(output);
  log_linear::write_preferences(files.train, train);
  log_linear::write_preferences(files.validation, validation);
  log_linear::write_preferences(files.test, test);
  write_durably(files.job, job_spec_to_yaml(job_of(options.problem)));  // last: with it the folder is whole
  return files;
}

}  // namespace equipoise
