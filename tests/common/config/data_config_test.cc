#include "common/config/data_config.h"

#include <gtest/gtest.h>

#include "common/config/job_file.h"
#include "tests/common/config/resolved_job.h"
#include "tests/support/refusal.h"

namespace equipoise {
namespace data_config_test {

v1::JobSpec job() {
  v1::JobSpec job;
  job.set_name("tokens");
  job.mutable_model()->set_path("model");
  job.mutable_data()->set_train("train.jsonl");
  job.set_output("out");
  return job;
}

std::string refusal(const v1::JobSpec& spec) {
  return refusal_of([&] { make_job_config(spec); });
}

TEST(DataConfig, TokensAreTrlsByDefault) {
  const DataConfig config = make_job_config(job()).data;
  EXPECT_EQ(config.tokenization, Tokenization::kTrl);
  EXPECT_EQ(config.truncation, Truncation::kKeepStart);
  EXPECT_EQ(config.max_length, 1024);
  EXPECT_EQ(config.max_prompt_length, std::nullopt);
  EXPECT_TRUE(config.token_cache);
}

TEST(DataConfig, AuthorsTokensHaveTheAuthorsLimits) {
  v1::JobSpec spec = job();
  spec.mutable_data()->set_tokenization(v1::TOKENIZATION_AUTHORS);
  EXPECT_EQ(make_job_config(spec).data.max_length, 512);
  EXPECT_EQ(make_job_config(spec).data.max_prompt_length, 256);
  spec.mutable_data()->set_max_length(100);
  EXPECT_EQ(make_job_config(spec).data.max_prompt_length, 50);
}

TEST(DataConfig, APromptLeavesRoomForAnAnswer) {
  v1::JobSpec spec = job();
  spec.mutable_data()->set_max_length(64);
  spec.mutable_data()->set_max_prompt_length(63);
  EXPECT_EQ(make_job_config(spec).data.max_prompt_length, 63);
  spec.mutable_data()->set_max_prompt_length(64);
  EXPECT_EQ(refusal(spec), "data.max_prompt_length is 64, expected an integer from 1 to 63");
  spec.mutable_data()->set_max_prompt_length(0);
  EXPECT_EQ(refusal(spec), "data.max_prompt_length is 0, expected an integer from 1 to 63");
}

TEST(DataConfig, LogLinearPoliciesHaveNoTokens) {
  v1::JobSpec spec = job();
  spec.clear_model();
  v1::LogLinearSpec& policy = *spec.mutable_policy()->mutable_log_linear();
  policy.set_features(v1::FEATURE_MAP_SAME);
  policy.set_actions(2);
  for (const double number : {1.0, 2.0}) {
    auto& row = *policy.add_reward();
    row.add_values()->set_number_value(number);
    row.add_values()->set_number_value(number);
  }
  ASSERT_EQ(refusal(spec), "accepted");
  const auto refused = [&](const auto& set) {
    v1::JobSpec changed = spec;
    set(*changed.mutable_data());
    return refusal(changed);
  };
  EXPECT_EQ(refused([](v1::DataSpec& data) { data.set_max_prompt_length(5); }),
            "data.max_prompt_length has no use with policy.log_linear; remove it");
  EXPECT_EQ(refused([](v1::DataSpec& data) { data.set_truncation(v1::TRUNCATION_DROP); }),
            "data.truncation has no use with policy.log_linear; remove it");
  EXPECT_EQ(refused([](v1::DataSpec& data) { data.set_tokenization(v1::TOKENIZATION_TRL); }),
            "data.tokenization has no use with policy.log_linear; remove it");
  EXPECT_EQ(refused([](v1::DataSpec& data) { data.set_token_cache(true); }),
            "data.token_cache has no use with policy.log_linear; remove it");
}

TEST(DataConfig, ResolvesToTheSameTokens) {
  v1::JobSpec spec = job();
  spec.mutable_data()->set_tokenization(v1::TOKENIZATION_AUTHORS);
  spec.mutable_data()->set_truncation(v1::TRUNCATION_KEEP_END);
  spec.mutable_data()->set_token_cache(false);
  const v1::DataSpec resolved = resolved_job(spec).data();
  EXPECT_EQ(resolved.max_length(), 512);
  EXPECT_EQ(resolved.max_prompt_length(), 256);
  EXPECT_EQ(resolved.truncation(), v1::TRUNCATION_KEEP_END);
  EXPECT_EQ(resolved.tokenization(), v1::TOKENIZATION_AUTHORS);
  EXPECT_FALSE(resolved.token_cache());
  EXPECT_EQ(resolved_job(job()).data().truncation(), v1::TRUNCATION_KEEP_START);
  EXPECT_FALSE(resolved_job(job()).data().has_max_prompt_length());
}

}  // namespace data_config_test
}  // namespace equipoise
