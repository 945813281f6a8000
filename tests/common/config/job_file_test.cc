#include "common/config/job_file.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <fstream>
#include <stdexcept>

#include "common/config/job_config.h"
#include "tests/common/config/resolved_job.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace job_file_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(ExampleJobs, OfALongRunIsAJob) {
  const JobConfig job = make_job_config(read_job_file("../deploy/examples/long-run.yaml", {}));
  EXPECT_EQ(job.checkpoint.every, std::chrono::seconds(900));
  EXPECT_EQ(job.checkpoint.every_steps, 0);
  EXPECT_EQ(job.checkpoint.keep, 3);
  EXPECT_EQ(job.launch.max_restarts, 10);
}

class JobFile : public testing::Test {
 protected:
  v1::JobSpec read(const std::string& text, std::vector<std::string> overrides = {}) {
    std::ofstream(file_, std::ios::binary) << text;
    return read_job_file(file_, overrides);
  }

  // The message without the folder in front.
  std::string refusal(const std::string& text, std::vector<std::string> overrides = {}) {
    return refusal_in(folder_, [&] { read(text, std::move(overrides)); });
  }

  const TempFolder temp_;
  const std::filesystem::path folder_ = temp_.path();
  const std::filesystem::path file_ = folder_ / "job.yaml";
};

constexpr const char* kJob = R"(name: opinions
model: {path: models/gemma, reference: /ref, dtype: float64}
data:
  train: train.jsonl
  validation: ../v.jsonl
  max_length: 512
  shuffle: false
  group_counts: {India: 96, "Kenya": 1.5e2}
loss: {type: dpo, beta: 1.0e-1, label_smoothing: 0}
robust: {mode: group_robust, step_size: 0.01, update: after_gradient}
optimizer:
  learning_rate: 1.0e-5
  betas: [0.9, 0.99]
  decay_exclude: [norm, bias]
  schedule: {warmup_steps: 150}
training: {seed: 18446744073709551615, max_steps: 1e3}
logging: {at_steps: [1, 3, 10]}
output: out
)";

TEST_F(JobFile, ReadsEveryKindOfField) {
  const v1::JobSpec spec = read(kJob);
  EXPECT_EQ(spec.name(), "opinions");
  EXPECT_EQ(spec.model().dtype(), v1::D_TYPE_FLOAT64);
  EXPECT_EQ(spec.data().max_length(), 512);
  EXPECT_FALSE(spec.data().shuffle());
  EXPECT_EQ(spec.data().group_counts().at("Kenya"), 150);
  EXPECT_EQ(spec.loss().beta(), 0.1);
  EXPECT_EQ(spec.robust().update(), v1::WEIGHT_UPDATE_AFTER_GRADIENT);
  EXPECT_THAT(spec.optimizer().betas(), ElementsAre(0.9, 0.99));
  EXPECT_THAT(spec.optimizer().decay_exclude(), ElementsAre(v1::DECAY_EXCLUDE_NORM, v1::DECAY_EXCLUDE_BIAS));
  EXPECT_EQ(spec.training().seed(), 18446744073709551615u);
  EXPECT_EQ(spec.training().max_steps(), 1000);
  EXPECT_THAT(spec.logging().at_steps(), ElementsAre(1, 3, 10));
  EXPECT_NO_THROW(make_job_config(spec));
}

constexpr const char* kLogLinearJob = R"(name: even-imbalanced
policy: {log_linear: {features: swapped, actions: 8, reward: [[1,3,1,3],[3,1,3,1.5]], initial_theta: [1,2,3,4], closed_form: false, ridge: 0, projection_radius: 0}}
data: {train: train.jsonl, validation: validation.jsonl, test: test.jsonl, shuffle: false}
loss: {type: dpo, beta: 1}
robust: {mode: group_robust, step_size: 0.9, estimator: batch_mean, trade_off: 1}
optimizer: {type: sgd, learning_rate: 0.5}
training: {max_steps: 10000, full_batch: true}
logging: {at_steps: [1, 2, 3, 10, 30, 100, 300, 1000, 10000]}
output: out
)";

// A value outside its range was named without the file and the line.
TEST_F(JobFile, KnowsWhereASettingStands) {
  const std::filesystem::path file = temp_.write("job.yaml",
                                                 "model: {path: m}\n"
                                                 "data:\n"
                                                 "  trainFiles:\n"
                                                 "    - path: a\n"
                                                 "    - {path: b, weight: -1}\n"
                                                 "training:\n"
                                                 "  global_batch_size: -1\n"
                                                 "  seed:\n");
  const auto place = [&](const std::string& fault, const std::vector<std::string>& overrides = {}) {
    std::string text = place_of_setting(file, overrides, fault);
    const std::string name = file.string();
    return text.starts_with(name) ? "job.yaml" + text.substr(name.size()) : text;
  };
  const std::string fault = "training.global_batch_size is -1, expected an integer from 1 to 2147483647";
  EXPECT_EQ(place(fault), "job.yaml:7: ");
  EXPECT_EQ(place("data.train_files[1].weight is -1, expected"), "job.yaml:5: ");
  EXPECT_EQ(place("training is absent"), "job.yaml:6: ");
  EXPECT_EQ(place("model.path: /m does not exist"), "job.yaml:1: ");
  for (const char* absent : {"training.max_steps is 0", "training.seed is -1", "data.train_files[2].path is absent",
                             "model.path.x is wrong", "is wrong", ""}) {
    EXPECT_EQ(place(absent), "") << absent;
  }
  EXPECT_EQ(place(fault, {"training.globalBatchSize=-2"}), "");
  EXPECT_EQ(place(fault, {"training={global_batch_size: -2}"}), "");
  EXPECT_EQ(place(fault, {"training.seed=1"}), "job.yaml:7: ");
  EXPECT_EQ(place_of_setting(folder_ / "none.yaml", {}, fault), "");
}

TEST_F(JobFile, ReadsALogLinearPolicy) {
  const v1::JobSpec spec = read(kLogLinearJob);
  EXPECT_EQ(spec.data().test(), (folder_ / "test.jsonl").string());
  const JobConfig config = make_job_config(spec);
  ASSERT_TRUE(config.log_linear.has_value());
  const log_linear::Problem& problem = config.log_linear->problem;
  EXPECT_EQ(problem.features, log_linear::FeatureMap::kSwapped);
  EXPECT_EQ(problem.actions, 8u);
  EXPECT_THAT(problem.reward_KD, ElementsAre(ElementsAre(1, 3, 1, 3), ElementsAre(3, 1, 3, 1.5)));
  EXPECT_THAT(problem.initial_theta_D, ElementsAre(1, 2, 3, 4));
  EXPECT_TRUE(config.training.full_batch);
}

TEST_F(JobFile, ALogLinearPolicyReadsBackTheSame) {
  const v1::JobSpec spec = resolved_job(read(kLogLinearJob));
  const std::string text = job_spec_to_yaml(spec);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(read(text), spec)) << text;
  EXPECT_THAT(text, HasSubstr("reward: [[1, 3, 1, 3], [3, 1, 3, 1.5]]"));
  EXPECT_THAT(text, Not(HasSubstr("max_length")));
}

TEST_F(JobFile, AListInAListNamesTheRowThatIsWrong) {
  EXPECT_EQ(refusal("policy: {log_linear: {reward: [[1, 2], 3]}}"),
            "job.yaml:1: policy.log_linear.reward[1] is \"3\", expected a list of numbers such as [1, 3]");
  EXPECT_EQ(refusal("policy: {log_linear: {reward: [[1, x]]}}"),
            "job.yaml:1: policy.log_linear.reward[0] is \"x\", expected a number");
  EXPECT_EQ(refusal("policy: {log_linear: {reward: [[1, [2]]]}}"),
            "job.yaml:1: policy.log_linear.reward[0] is a list, expected one value");
  EXPECT_EQ(refusal("policy: {log_linear: {features: cubed}}"),
            "job.yaml:1: policy.log_linear.features is \"cubed\", expected same | swapped | flipped");
  EXPECT_EQ(refusal("policy: {log_linear: {rewards: []}}"),
            "job.yaml:1: unknown key \"policy.log_linear.rewards\", the nearest known one is "
            "\"policy.log_linear.reward\"");
}

// 1 MiB of text would stand for 26 billion numbers.
TEST_F(JobFile, AliasesMultiplyNoValuesWithoutBound) {
  std::string row = "0", rows;
  for (int i = 1; i < 10000; ++i) row += ", 0";
  for (int i = 1; i < 200; ++i) rows += ", *row";
  EXPECT_EQ(refusal("policy: {log_linear: {reward: [&row [" + row + "]" + rows + "]}}"),
            "job.yaml:1: policy.log_linear.reward[104] has more values than the whole job may have, 1048576; an alias "
            "counts for all that it stands for");
}

TEST_F(JobFile, PathsAreRelativeToTheFile) {
  const v1::JobSpec spec = read(kJob);
  EXPECT_EQ(spec.model().path(), (folder_ / "models/gemma").string());
  EXPECT_EQ(spec.model().reference(), "/ref");
  EXPECT_EQ(spec.data().train(), (folder_ / "train.jsonl").string());
  EXPECT_EQ(spec.data().validation(), (folder_.parent_path() / "v.jsonl").string());
  EXPECT_EQ(spec.output(), (folder_ / "out").string());
}

TEST_F(JobFile, AcceptsTheNamesOfProtobufsJsonMapping) {
  const v1::JobSpec spec = read("loss: {labelSmoothing: 0.1, type: LOSS_TYPE_DPO}\ndata: {maxLength: \"8\"}\n");
  EXPECT_EQ(spec.loss().label_smoothing(), 0.1);
  EXPECT_EQ(spec.loss().type(), v1::LOSS_TYPE_DPO);
  EXPECT_EQ(spec.data().max_length(), 8);
}

TEST_F(JobFile, EmptyValuesLeaveFieldsAbsent) {
  const v1::JobSpec spec = read("name: a\nloss:\n  # beta: 1\nmodel: {path: m, reference: ~}\n");
  EXPECT_FALSE(spec.has_loss());
  EXPECT_FALSE(spec.model().has_reference());
}

TEST_F(JobFile, UnknownKeyNamesTheNearestKnownOne) {
  EXPECT_EQ(refusal("name: a\nloss:\n  betta: 1\n"),
            "job.yaml:3: unknown key \"loss.betta\", the nearest known one is \"loss.beta\"");
  EXPECT_EQ(refusal("optimiser: {}\n"),
            "job.yaml:1: unknown key \"optimiser\", the nearest known one is \"optimizer\"");
  EXPECT_EQ(refusal("name: a\nbeta: 1\n"), "job.yaml:2: unknown key \"beta\", the nearest known one is \"loss.beta\"");
  EXPECT_THAT(refusal("optimizer:\n  schedule: {warmup: 1}\n"), HasSubstr("job.yaml:2: unknown key "
                                                                          "\"optimizer.schedule.warmup\""));
}

// A key with which none has much in common would be a riddle.
TEST_F(JobFile, UnknownKeyThatIsNearToNoneNamesThemAll) {
  EXPECT_EQ(refusal("early_stopping: {}\ntraining: {early_stopping: {fizzbuzz: 1}}\n"),
            "job.yaml:1: unknown key \"early_stopping\", the nearest known one is \"training.early_stopping\"");
  EXPECT_EQ(refusal("training: {early_stopping: {fizzbuzz: 1}}\n"),
            "job.yaml:1: unknown key \"training.early_stopping.fizzbuzz\", expected one of metric, mode, patience, "
            "min_delta, keep_best");
}

TEST_F(JobFile, KeyGivenTwiceNamesBothLines) {
  EXPECT_EQ(refusal("name: a\nloss: {beta: 1}\nname: b\n"), "job.yaml:3: name is given twice, first on line 1");
  EXPECT_EQ(refusal("data:\n  maxLength: 4\n  max_length: 5\n"),
            "job.yaml:3: data.max_length is given twice, first on line 2");
  EXPECT_EQ(refusal("data:\n  group_counts:\n    India: 4\n    India: 5\n"),
            "job.yaml:4: data.group_counts.India is given twice, first on line 3");
}

TEST_F(JobFile, WrongTypesNameLineFieldValueAndWhatWouldBeRight) {
  EXPECT_EQ(refusal("loss: {beta: big}"), "job.yaml:1: loss.beta is \"big\", expected a number");
  EXPECT_EQ(refusal("loss: {beta: .nan}"), "job.yaml:1: loss.beta is \".nan\", expected a number");
  EXPECT_EQ(refusal("loss: {beta: inf}"), "job.yaml:1: loss.beta is \"inf\", expected a number");
  EXPECT_EQ(refusal("loss: {beta: 1e999}"), "job.yaml:1: loss.beta is \"1e999\", expected a number");
  EXPECT_EQ(refusal("loss: {beta: [1]}"), "job.yaml:1: loss.beta is a list, expected one value");
  EXPECT_EQ(refusal("loss: {type: kto}"),
            "job.yaml:1: loss.type is \"kto\", expected dpo | ipo | sft | hinge | robust; for kto: this loss is not "
            "implemented");
  EXPECT_EQ(refusal("loss: {type: unspecified}"),
            "job.yaml:1: loss.type is \"unspecified\", expected dpo | ipo | sft | hinge | robust");
  EXPECT_EQ(refusal("loss: {type: 1}"), "job.yaml:1: loss.type is \"1\", expected dpo | ipo | sft | hinge | robust");
  EXPECT_EQ(refusal("loss: 3"), "job.yaml:1: loss is \"3\", expected a mapping such as {type: dpo}");
  EXPECT_EQ(refusal("data: {shuffle: yes}"), "job.yaml:1: data.shuffle is \"yes\", expected true or false; write true");
  EXPECT_EQ(refusal("data: {max_length: 1.5}"), "job.yaml:1: data.max_length is \"1.5\", expected an integer");
  EXPECT_EQ(refusal("data: {max_length: 3000000000}"),
            "job.yaml:1: data.max_length is \"3000000000\", expected an integer");
  EXPECT_EQ(refusal("training: {seed: -1}"), "job.yaml:1: training.seed is \"-1\", expected an integer >= 0");
  EXPECT_EQ(refusal("optimizer: {betas: 0.9}"),
            "job.yaml:1: optimizer.betas is \"0.9\", expected a list such as [a, b]");
  EXPECT_EQ(refusal("data: {group_counts: [1]}"),
            "job.yaml:1: data.group_counts is a list, expected a mapping from group names to numbers");
  EXPECT_EQ(refusal("launch: {mpi_options: [--mca, btl, tcp]}"),
            "job.yaml:1: launch.mpi_options is a list, expected a mapping from names to texts");
}

TEST_F(JobFile, RefusesWhatIsNotOneYamlMapping) {
  EXPECT_THAT(refusal("name: a\nloss: {beta: 1\n"), HasSubstr("job.yaml:3: not YAML: "));
  EXPECT_THAT(refusal("name: [a\n"), HasSubstr(": not YAML: "));
  EXPECT_THAT(refusal("- a\n"), HasSubstr("job.yaml:1: the job is a list, expected a mapping"));
  EXPECT_THAT(refusal("# nothing\n"), HasSubstr("job.yaml:1: the file is empty"));
  EXPECT_THAT(refusal("name: a\n---\nname: b\n"), HasSubstr("a second document starts"));
  EXPECT_THAT(refusal("name: \xFF\n"), HasSubstr("not UTF-8"));
  EXPECT_THAT(refusal("data: " + std::string(100000, '[')), HasSubstr("not YAML"));
  EXPECT_THAT(refusal(std::string((1 << 20) + 1, ' ')), HasSubstr("has more than 1048576 bytes"));
}

TEST_F(JobFile, RefusesWhatIsNotAFile) {
  EXPECT_THROW(read_job_file(folder_ / "absent.yaml", {}), std::invalid_argument);
  EXPECT_THROW(read_job_file(folder_, {}), std::invalid_argument);
}

TEST_F(JobFile, WithoutANameIsCalledAsTheFile) {
  EXPECT_EQ(read("output: out").name(), "job");
  EXPECT_EQ(read("{name: , output: out}").name(), "job");
  EXPECT_EQ(read("output: out", {"name=given"}).name(), "given");
  const std::vector<std::pair<std::string, std::string>> names = {
      {"gr-dpo.yaml", "gr-dpo"},
      {"GR_DPO.v2.yml", "gr-dpo-v2"},
      {"2nd run-.yaml", "nd-run"},
      {std::string(70, 'x') + ".yaml", std::string(63, 'x')}};
  for (const auto& [file, name] : names) {
    EXPECT_EQ(read_job_file(temp_.write(file, "output: out"), {}).name(), name) << file;
  }
  EXPECT_EQ(read_job_file(temp_.write("42.yaml", "output: out"), {}).name(), "") << "make_job_config() refuses it";
}

TEST_F(JobFile, OverridesReplaceWhatTheFileSays) {
  const v1::JobSpec spec = read(kJob, {"loss.beta=0.2", "optimizer.betas=[0.5, 0.6]", "data.group_counts.India=5",
                                       "robust.minWeight=1e-3", "data.validation=", "output=/else"});
  EXPECT_EQ(spec.loss().beta(), 0.2);
  EXPECT_THAT(spec.optimizer().betas(), ElementsAre(0.5, 0.6));
  EXPECT_EQ(spec.data().group_counts().at("India"), 5);
  EXPECT_EQ(spec.data().group_counts().at("Kenya"), 150);
  EXPECT_EQ(spec.robust().min_weight(), 0.001);
  EXPECT_FALSE(spec.data().has_validation());
  EXPECT_EQ(spec.output(), "/else");
}

TEST_F(JobFile, BadOverridesSayWhichOneAndWhy) {
  EXPECT_EQ(refusal(kJob, {"loss.betta=1"}),
            "--set loss.betta=1: unknown key \"loss.betta\", the nearest known one is \"loss.beta\"");
  EXPECT_EQ(refusal(kJob, {"loss.beta=x"}), "--set loss.beta=x: loss.beta is \"x\", expected a number");
  EXPECT_EQ(refusal(kJob, {"loss.beta"}), "--set loss.beta: expected KEY=VALUE such as loss.beta=0.2");
  EXPECT_THAT(refusal(kJob, {"loss.beta.deep=1"}), HasSubstr("loss.beta.deep does not exist"));
  EXPECT_THAT(refusal(kJob, {"optimizer.betas=[1"}), HasSubstr("not YAML"));
  EXPECT_THAT(refusal(kJob, {"=1"}), HasSubstr("expected KEY=VALUE"));
}

TEST_F(JobFile, WrittenJobReadsBackTheSame) {
  v1::JobSpec spec = resolved_job(read(kJob));
  spec.mutable_optimizer()->set_learning_rate(0.1 + 0.2);  // needs all 17 digits
  spec.mutable_model()->set_path("/a b/\"q\": #\né");
  (*spec.mutable_data()->mutable_group_counts())["null"] = 1e-7;
  (*spec.mutable_data()->mutable_group_counts())["a: b\n"] = 2;
  const v1::JobSpec back = read(job_spec_to_yaml(spec));
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(back, spec)) << job_spec_to_yaml(spec);
}

TEST_F(JobFile, WordsThatYamlReadsAsSomethingElseStayText) {
  for (const std::string word : {"null", "~", "true", "12", "1.0e-5", "no", "- a", "{"}) {
    v1::JobSpec spec;
    spec.set_name(word);
    EXPECT_EQ(read(job_spec_to_yaml(spec)).name(), word);
  }
}

TEST_F(JobFile, WrittenJobIsForPeople) {
  v1::JobSpec spec;
  spec.set_name("opinions");
  spec.mutable_loss()->set_type(v1::LOSS_TYPE_DPO);
  spec.mutable_optimizer()->set_learning_rate(1e-5);
  spec.mutable_logging()->add_at_steps(1);
  EXPECT_EQ(job_spec_to_yaml(spec),
            "name: opinions\nloss:\n  type: dpo\noptimizer:\n  learning_rate: 1.0e-05\nlogging:\n  at_steps: [1]\n");
}

}  // namespace job_file_test
}  // namespace equipoise
