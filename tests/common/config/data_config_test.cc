#include "common/config/data_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>

#include "common/config/job_file.h"
#include "tests/common/config/resolved_job.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

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

namespace data_files_config_test {

using testing::ElementsAre;
using testing::IsEmpty;

// Two training files and two validation files.
v1::JobSpec job() {
  v1::JobSpec job;
  job.set_name("files");
  job.mutable_model()->set_path("model");
  for (const char* path : {"a.jsonl", "b.jsonl"}) job.mutable_data()->add_train_files()->set_path(path);
  for (const char* path : {"v/east.jsonl", "v/west.jsonl"}) job.mutable_data()->add_validation_files()->set_path(path);
  job.set_output("out");
  return job;
}

using Change = std::function<void(v1::JobSpec& job, v1::DataSpec& data)>;

v1::JobSpec changed(const Change& change) {
  v1::JobSpec spec = job();
  change(spec, *spec.mutable_data());
  return spec;
}

std::string refusal(const Change& change) {
  return refusal_of([&] { make_job_config(changed(change)); });
}

TEST(DataFilesConfig, OneSettingOrTheOtherNamesTheFiles) {
  const DataConfig several = make_job_config(job()).data;
  EXPECT_EQ(training_files(several).size(), 2u);
  EXPECT_EQ(training_files(several)[1].path, "b.jsonl");
  EXPECT_FALSE(is_mixture(several));
  const DataConfig one = make_job_config(changed([](auto&, auto& data) {
                           data.clear_train_files();
                           data.clear_validation_files();
                           data.set_train("t.jsonl");
                         })).data;
  ASSERT_EQ(training_files(one).size(), 1u);
  EXPECT_EQ(training_files(one)[0].path, "t.jsonl");
  EXPECT_THAT(validation_files(one), IsEmpty());
  EXPECT_EQ(refusal([](auto&, auto& data) { data.set_train("t.jsonl"); }),
            "data has both train and train_files; remove one of them");
  EXPECT_EQ(refusal([](auto&, auto& data) { data.set_validation("t.jsonl"); }),
            "data has both validation and validation_files; remove one of them");
  EXPECT_EQ(refusal([](auto&, auto& data) { data.clear_train_files(); }), "data.train is missing, expected a path");
}

TEST(DataFilesConfig, AFilesOwnGroupWinsOverTheDatasColumns) {
  const DataConfig config = make_job_config(changed([](auto&, auto& data) {
                              data.add_group_columns("country");
                              data.mutable_train_files(0)->set_group("east");
                              data.mutable_validation_files(1)->add_group_columns("region");
                              data.mutable_validation_files(1)->add_group_columns("age");
                            })).data;
  EXPECT_EQ(training_files(config)[0].group, "east");
  EXPECT_THAT(training_files(config)[0].group_columns, IsEmpty());
  EXPECT_THAT(training_files(config)[1].group_columns, ElementsAre("country"));
  EXPECT_THAT(validation_files(config)[0].group_columns, ElementsAre("country"));
  EXPECT_THAT(validation_files(config)[1].group_columns, ElementsAre("region", "age"));
  EXPECT_THAT(training_files(make_job_config(job()).data)[0].group_columns, ElementsAre("group"));
}

TEST(DataFilesConfig, RefusesWhatAFileCannotBe) {
  EXPECT_EQ(refusal([](auto&, auto& data) { data.mutable_train_files(1)->clear_path(); }),
            "data.train_files[1].path is missing, expected a path");
  EXPECT_EQ(refusal([](auto&, auto& data) { data.mutable_train_files(1)->set_group(""); }),
            "data.train_files[1].group is \"\", expected the name of a group, 1 to 256 bytes");
  EXPECT_EQ(refusal([](auto&, auto& data) {
              data.mutable_train_files(0)->set_group("east");
              data.mutable_train_files(0)->add_group_columns("country");
            }),
            "data.train_files[0] has both group and group_columns; remove one of them");
  EXPECT_EQ(refusal([](auto&, auto& data) { data.mutable_validation_files(0)->add_group_columns(""); }),
            "data.validation_files[0].group_columns is \"\", expected a field of the data of 1 to 256 bytes");
  EXPECT_EQ(refusal([](auto&, auto& data) {
              for (const char* column : {"age", "sex", "age"}) data.add_group_columns(column);
            }),
            "data.group_columns names \"age\" twice; remove one of them");
  EXPECT_EQ(refusal([](auto&, auto& data) {
              for (int i = 0; i < 17; ++i) data.add_group_columns(std::string(static_cast<std::size_t>(i) + 1, 'c'));
            }),
            "data.group_columns is a list of 17, expected at most 16 fields");
}

TEST(DataFilesConfig, AllTrainingFilesHaveAWeightOrNone) {
  const auto weigh = [](v1::DataSpec& data, double first, double second) {
    data.mutable_train_files(0)->set_weight(first);
    data.mutable_train_files(1)->set_weight(second);
  };
  const DataConfig config = make_job_config(changed([&](auto&, auto& data) { weigh(data, 3, 1); })).data;
  EXPECT_TRUE(is_mixture(config));
  EXPECT_EQ(training_files(config)[0].weight, 3);
  EXPECT_EQ(refusal([&](auto&, auto& data) { weigh(data, 3, 0); }),
            "data.train_files[1].weight is 0, expected a number > 0");
  EXPECT_EQ(refusal([](auto&, auto& data) { data.mutable_train_files(0)->set_weight(1); }),
            "data.train_files[1] has no weight, unlike the files before it, expected one on every file or on none");
  EXPECT_EQ(refusal([](auto&, auto& data) { data.mutable_train_files(1)->set_weight(1); }),
            "data.train_files[1] has a weight, unlike the files before it, expected one on every file or on none");
  EXPECT_EQ(refusal([&](auto& job, auto& data) {
              weigh(data, 3, 1);
              job.mutable_training()->set_sampling(v1::SAMPLING_STRATIFIED);
            }),
            "data.train_files have weights with training.sampling stratified, expected one of them; remove the other");
  EXPECT_EQ(refusal([&](auto& job, auto& data) {
              weigh(data, 3, 1);
              job.mutable_training()->set_full_batch(true);
            }),
            "data.train_files have weights with training.full_batch true, expected one of them: a full batch has every "
            "pair once; remove the other");
}

TEST(DataFilesConfig, WeightsAreForTrainingAndNamesForValidation) {
  EXPECT_EQ(refusal([](auto&, auto& data) { data.mutable_train_files(0)->set_name("a"); }),
            "data.train_files[0].name has no use; remove it: validation files have names");
  EXPECT_EQ(refusal([](auto&, auto& data) { data.mutable_validation_files(0)->set_weight(1); }),
            "data.validation_files[0].weight has no use; remove it: training files have weights");
}

TEST(DataFilesConfig, AValidationFileIsCalledByItsNameOrItsStem) {
  const auto name = [](const v1::JobSpec& spec, std::size_t i) {
    return validation_files(make_job_config(spec).data)[i].name;
  };
  EXPECT_EQ(name(job(), 0), "east");
  EXPECT_EQ(name(changed([](auto&, auto& data) { data.mutable_validation_files(1)->set_path("sets/north/"); }), 1),
            "north");
  EXPECT_EQ(name(changed([](auto&, auto& data) { data.mutable_validation_files(1)->set_name("far west"); }), 1),
            "far west");
  EXPECT_EQ(refusal([](auto&, auto& data) { data.mutable_validation_files(1)->set_path("w/east.jsonl"); }),
            "data.validation_files[1].name is \"east\", expected another one than that of data.validation_files[0]");
  EXPECT_EQ(refusal([](auto&, auto& data) { data.mutable_validation_files(1)->set_name(""); }),
            "data.validation_files[1].name is \"\", expected 1 to 256 bytes without control characters");
}

TEST(DataFilesConfig, EvaluationsNeedAFileOfEitherSetting) {
  EXPECT_EQ(refusal([](auto& job, auto&) { job.mutable_evaluation()->set_every_steps(5); }), "accepted");
  EXPECT_EQ(refusal([](auto& job, auto& data) {
              data.clear_validation_files();
              job.mutable_evaluation()->set_every_steps(5);
            }),
            "evaluation.every_steps needs data.validation; add it, or set every_steps to 0");
}

TEST(DataFilesConfig, LogLinearPoliciesHaveOneFileWithNumbersForGroups) {
  const auto log_linear = [](const Change& change) {
    return refusal([&](v1::JobSpec& job, v1::DataSpec& data) {
      job.clear_model();
      v1::LogLinearSpec& policy = *job.mutable_policy()->mutable_log_linear();
      policy.set_features(v1::FEATURE_MAP_SAME);
      policy.set_actions(2);
      google::protobuf::ListValue& reward = *policy.add_reward();
      for (const double number : {1, 2}) reward.add_values()->set_number_value(number);
      data.clear_train_files();
      data.clear_validation_files();
      data.set_train("t.jsonl");
      change(job, data);
    });
  };
  EXPECT_EQ(log_linear([](auto&, auto&) {}), "accepted");
  const std::string no_use = " has no use with policy.log_linear; remove it";
  EXPECT_EQ(log_linear([](auto&, auto& data) {
              data.clear_train();
              data.add_train_files()->set_path("t.jsonl");
            }),
            "data.train_files" + no_use + " and name data.train");
  EXPECT_EQ(log_linear([](auto&, auto& data) { data.add_validation_files()->set_path("t.jsonl"); }),
            "data.validation_files" + no_use + " or name data.validation");
  EXPECT_EQ(log_linear([](auto&, auto& data) { data.add_group_columns("country"); }), "data.group_columns" + no_use);
}

class DataFilesYaml : public testing::Test {
 protected:
  v1::JobSpec read(const std::string& text, const std::vector<std::string>& overrides = {}) const {
    std::ofstream(folder_ / "job.yaml") << text;
    return read_job_file(folder_ / "job.yaml", overrides);
  }
  std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) const {
    return refusal_in(folder_, [&] { read(text, overrides); });
  }

  const TempFolder temp_;
  const std::filesystem::path folder_ = temp_.path();
};

constexpr char kYaml[] = R"(name: files
model: {path: model}
data:
  group_columns: [country]
  train_files:
    - {path: a.jsonl, weight: 0.75}
    - path: ../b.jsonl
      weight: 2.5e-1
      group: west
  validation_files:
    - {path: /east.jsonl}
    - {path: west.jsonl, name: far west, groupColumns: [region, age]}
output: out
)";

TEST_F(DataFilesYaml, AreAListOfMappingsWithPathsRelativeToTheFile) {
  const v1::DataSpec data = read(kYaml).data();
  ASSERT_EQ(data.train_files_size(), 2);
  EXPECT_EQ(data.train_files(0).path(), (folder_ / "a.jsonl").string());
  EXPECT_EQ(data.train_files(1).path(), (folder_.parent_path() / "b.jsonl").string());
  EXPECT_EQ(data.train_files(1).weight(), 0.25);
  EXPECT_EQ(data.train_files(1).group(), "west");
  EXPECT_EQ(data.validation_files(0).path(), "/east.jsonl");
  EXPECT_THAT(data.validation_files(1).group_columns(), ElementsAre("region", "age"));
}

TEST_F(DataFilesYaml, ResolvedJobsReadBackToThemselves) {
  const v1::JobSpec resolved = resolved_job(read(kYaml));
  EXPECT_EQ(resolved.data().validation_files(0).name(), "east");
  EXPECT_EQ(read(job_spec_to_yaml(resolved)).SerializeAsString(), resolved.SerializeAsString());
  EXPECT_THAT(resolved_job(read("name: a\nmodel: {path: m}\ndata: {train: t}\noutput: o\n")).data().group_columns(),
              ElementsAre("group"));
}

TEST_F(DataFilesYaml, ErrorsNameTheFileByItsPlace) {
  EXPECT_EQ(
      refusal("data:\n  train_files:\n    - {path: a}\n    - {paht: b}\n"),
      "job.yaml:4: unknown key \"data.train_files[1].paht\", the nearest known one is \"data.train_files[1].path\"");
  EXPECT_EQ(refusal("data: {train_files: [a.jsonl]}"),
            "job.yaml:1: data.train_files[0] is \"a.jsonl\", expected a mapping such as {path: a.jsonl}");
  EXPECT_EQ(refusal("data: {train_files: [{path: a, weight: much}]}"),
            "job.yaml:1: data.train_files[0].weight is \"much\", expected a number");
  EXPECT_EQ(refusal("data: {train_files: [{path: a}]}", {"data.train_files.path=b"}),
            "--set data.train_files.path=b: data.train_files.path does not exist: train_files is a list");
  EXPECT_EQ(read(kYaml, {"data.train_files=[{path: c.jsonl}]"}).data().train_files_size(), 1);
}

}  // namespace data_files_config_test
}  // namespace equipoise
