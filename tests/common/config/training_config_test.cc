// Settings of whose pairs a batch holds: training.sampling, training.group_shares, data.group_separator.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "common/config/group_settings.h"
#include "common/config/job_config.h"
#include "common/config/job_file.h"
#include "equipoise/v1/job.pb.h"
#include "tests/common/config/resolved_job.h"
#include "tests/support/refusal.h"

namespace equipoise {
namespace training_config_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

v1::JobSpec stratified_spec() {
  v1::JobSpec spec;
  spec.set_name("opinions");
  spec.mutable_model()->set_path("/models/gemma");
  spec.mutable_data()->set_train("/data/train.jsonl");
  spec.mutable_data()->set_group_separator("/");
  spec.mutable_training()->set_sampling(v1::SAMPLING_STRATIFIED);
  (*spec.mutable_training()->mutable_group_shares())["Asia/India"] = 0.25;
  spec.set_output("/out");
  return spec;
}

std::string refusal(const std::function<void(v1::JobSpec&)>& change) {
  v1::JobSpec spec = stratified_spec();
  change(spec);
  return refusal_of([&] { make_job_config(spec); });
}

TEST(SamplingConfig, TakesSharesAndSeparator) {
  const JobConfig config = make_job_config(stratified_spec());
  EXPECT_EQ(config.training.sampling, Sampling::kStratified);
  EXPECT_THAT(config.training.group_shares, ElementsAre(Pair("Asia/India", 0.25)));
  EXPECT_EQ(config.data.group_separator, "/");
}

TEST(SamplingConfig, IsEveryPairOnceAnEpochOfGroupsWithoutLevelsUnlessTold) {
  v1::JobSpec spec = stratified_spec();
  spec.clear_training();
  spec.mutable_data()->clear_group_separator();
  const JobConfig config = make_job_config(spec);
  EXPECT_EQ(config.training.sampling, Sampling::kPermutation);
  EXPECT_EQ(config.data.group_separator, "");
}

TEST(SamplingConfig, IsInTheResolvedJob) {
  const v1::JobSpec resolved = resolved_job(stratified_spec());
  EXPECT_EQ(resolved.training().sampling(), v1::SAMPLING_STRATIFIED);
  EXPECT_EQ(resolved.training().group_shares().at("Asia/India"), 0.25);
  EXPECT_EQ(resolved.data().group_separator(), "/");
  EXPECT_NO_THROW(make_job_config(resolved));
}

Sampling sampling_of(const std::function<void(v1::JobSpec&)>& change, std::size_t num_groups) {
  v1::JobSpec spec = stratified_spec();
  spec.clear_training();
  spec.mutable_data()->clear_group_separator();
  spec.mutable_robust()->set_mode(v1::ROBUST_MODE_GROUP_ROBUST);
  spec.mutable_training()->set_global_batch_size(8);
  change(spec);
  return sampling_for(make_job_config(spec).training, num_groups, 100);
}

TEST(SamplingConfig, IsStratifiedByItselfWhereABatchHasAPlaceForEveryGroupOfAGroupRobustJob) {
  const auto as_it_is = [](v1::JobSpec&) {};
  EXPECT_EQ(sampling_of(as_it_is, 2), Sampling::kStratified);
  EXPECT_EQ(sampling_of(as_it_is, 8), Sampling::kStratified);
  EXPECT_EQ(sampling_of(as_it_is, 9), Sampling::kPermutation);
}

TEST(SamplingConfig, StaysAPermutationWhereABatchIsAllOfTheData) {
  JobConfig config;
  config.training.global_batch_size = 100;
  EXPECT_EQ(sampling_for(config.training, 2, 101), Sampling::kStratified);
  EXPECT_EQ(sampling_for(config.training, 2, 100), Sampling::kPermutation);
}

TEST(SamplingConfig, StaysAPermutationWhereTheJobSaysWhatABatchIs) {
  const auto with = [](const std::function<void(v1::JobSpec&)>& change) { return sampling_of(change, 2); };
  EXPECT_EQ(with([](auto& job) { job.mutable_data()->set_shuffle(false); }), Sampling::kPermutation);
  EXPECT_EQ(with([](auto& job) { job.mutable_robust()->set_mode(v1::ROBUST_MODE_NONE); }), Sampling::kPermutation);
  EXPECT_EQ(with([](auto& job) { job.mutable_robust()->set_mode(v1::ROBUST_MODE_IMPORTANCE); }),
            Sampling::kPermutation);
  EXPECT_EQ(with([](auto& job) { job.mutable_training()->set_sampling(v1::SAMPLING_PERMUTATION); }),
            Sampling::kPermutation);
  EXPECT_EQ(with([](auto& job) {
              job.mutable_training()->clear_global_batch_size();
              job.mutable_training()->set_full_batch(true);
            }),
            Sampling::kPermutation);
  EXPECT_EQ(with([](auto& job) {
              for (const char* path : {"/data/a.jsonl", "/data/b.jsonl"}) {
                auto& file = *job.mutable_data()->add_train_files();
                file.set_path(path);
                file.set_weight(1);
              }
              job.mutable_data()->clear_train();
            }),
            Sampling::kPermutation);
}

TEST(SamplingConfig, RefusesWhatIsOutOfRange) {
  EXPECT_EQ(refusal([](auto& job) { (*job.mutable_training()->mutable_group_shares())["India"] = 0; }),
            "training.group_shares.India is 0, expected a number > 0");
  for (const std::string& separator : {std::string(), std::string(17, '/'), std::string("\t"), std::string("/\n")}) {
    EXPECT_THAT(refusal([&](auto& job) { job.mutable_data()->set_group_separator(separator); }),
                HasSubstr("expected 1 to 16 bytes without control characters"));
  }
}

TEST(SamplingConfig, RefusesWhatDoesNotGoTogether) {
  EXPECT_EQ(refusal([](auto& job) { job.mutable_training()->clear_sampling(); }),
            "training.group_shares needs training.sampling stratified; remove them or set the sampling");
  EXPECT_EQ(refusal([](auto& job) { job.mutable_training()->set_full_batch(true); }),
            "training.sampling is stratified with full_batch true, expected one of them; remove full_batch");
}

TEST(SamplingConfig, GroupsOfLogLinearPoliciesHaveNoLevels) {
  const auto log_linear = [](v1::JobSpec& job) {
    job.clear_model();
    v1::LogLinearSpec& policy = *job.mutable_policy()->mutable_log_linear();
    policy.set_features(v1::FEATURE_MAP_SAME);
    policy.set_actions(2);
    policy.add_reward()->add_values()->set_number_value(1);
    policy.mutable_reward(0)->add_values()->set_number_value(1);
  };
  EXPECT_THAT(refusal(log_linear), HasSubstr("data.group_separator has no use with policy.log_linear"));
  EXPECT_EQ(refusal([&](auto& job) { log_linear(job), job.mutable_data()->clear_group_separator(); }), "accepted");
}

}  // namespace training_config_test
}  // namespace equipoise
