#include "client/evaluate/evaluation_request.h"

#include <gtest/gtest.h>

#include "common/config/data_config.h"
#include "common/config/job_config.h"
#include "common/process/machine_ranks.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace evaluation_request_test {

class EvaluationRequest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::string folder : {"model", "reference"}) {
      std::filesystem::create_directory(temp_ / folder);
      for (const char* file : {"config.json", "tokenizer.json"}) temp_.write(folder + "/" + file, "{}");
      temp_.write(folder + "/model.safetensors", std::string("\2\0\0\0\0\0\0\0{}", 10));  // of no tensors
    }
    flags_.model = (temp_ / "model").string();
    flags_.data = temp_.write("pairs.jsonl", "").string();
    flags_.output = (temp_ / "out.jsonl").string();
  }

  v1::JobSpec request() const { return evaluation_request(flags_, temp_.path()); }
  std::string refusal() const {
    return refusal_of([&] { request(); });
  }

  TempFolder temp_;
  EvaluationFlags flags_;
};

TEST_F(EvaluationRequest, WithoutAReferenceTheLossHasNone) {
  const v1::JobSpec spec = request();
  EXPECT_EQ(spec.model().path(), flags_.model);
  EXPECT_EQ(spec.data().train(), flags_.data);
  EXPECT_EQ(spec.output(), flags_.output);
  EXPECT_FALSE(spec.model().has_reference());
  EXPECT_TRUE(make_job_config(spec).loss.reference_free);
}

TEST_F(EvaluationRequest, AMistypedNumberOfRanksForksNothing) {
  flags_.workers = 16'000;
  EXPECT_EQ(refusal(),
            "--np is 16000, expected at most " + std::to_string(most_ranks_of_this_machine()) + " on this machine");
}

TEST_F(EvaluationRequest, FlagsAndSettingsAreFieldsOfAJob) {
  flags_.reference = (temp_ / "reference").string();
  flags_.loss = "ipo";
  flags_.beta = 0.25;
  flags_.dtype = "float64";
  flags_.max_length = 96;
  flags_.micro_batch_tokens = 500;
  flags_.settings = {"loss.length_normalized=true", "data.truncation=drop"};
  const JobConfig config = make_job_config(request());
  EXPECT_EQ(config.model.reference, temp_ / "reference");
  EXPECT_EQ(config.loss.type, LossType::kIpo);
  EXPECT_EQ(config.loss.beta, 0.25);
  EXPECT_TRUE(config.loss.length_normalized);
  EXPECT_FALSE(config.loss.reference_free);
  EXPECT_EQ(config.model.dtype, DType::kFloat64);
  EXPECT_EQ(config.data.max_length, 96);
  EXPECT_EQ(config.data.truncation, Truncation::kDrop);
  EXPECT_EQ(config.training.micro_batch_tokens, 500);
}

TEST_F(EvaluationRequest, GroupsComeFromFieldsOrAreOneForTheFile) {
  flags_.groups.group_columns = "country,age";
  flags_.groups.group_separator = "/";
  const JobConfig crossed = make_job_config(request());
  EXPECT_EQ(training_files(crossed.data).front().group_columns, (std::vector<std::string>{"country", "age"}));
  EXPECT_EQ(crossed.data.group_separator, "/");
  flags_.groups = {.group = "India", .group_columns = "group", .group_separator = ""};
  const DataFile file = training_files(make_job_config(request()).data).front();
  EXPECT_EQ(file.path, flags_.data);
  EXPECT_EQ(file.group, "India");
  flags_.output = flags_.data;
  EXPECT_NE(refusal().find("is the file of --data"), std::string::npos) << refusal();
}

TEST_F(EvaluationRequest, SftNeedsNoReference) {
  flags_.loss = "sft";
  EXPECT_FALSE(make_job_config(request()).loss.reference_free);
  flags_.reference = (temp_ / "reference").string();
  EXPECT_NE(refusal().find("model.reference has no use with loss.type sft"), std::string::npos) << refusal();
}

TEST_F(EvaluationRequest, ASettingThatDoesNothingHereIsRefused) {
  for (const char* setting :
       {"robust.step_size=1", "data.shuffle=false", "data.train=x", "loss.reference_free=true", "output=x", "beta=1"}) {
    flags_.settings = {setting};
    EXPECT_NE(refusal().find(setting), std::string::npos) << refusal();
    EXPECT_NE(refusal().find("an evaluation has no such setting"), std::string::npos) << refusal();
  }
}

TEST_F(EvaluationRequest, WhatIsNotThereIsNamedByItsFlag) {
  flags_.model = (temp_ / "nowhere").string();
  EXPECT_NE(refusal().find("--model: " + flags_.model), std::string::npos) << refusal();
  flags_.model = (temp_ / "model").string();
  flags_.reference = flags_.data;
  EXPECT_NE(refusal().find("--reference: " + flags_.data), std::string::npos) << refusal();
  flags_.reference.clear();
  flags_.data = (temp_ / "model").string();
  EXPECT_NE(refusal().find("--data: " + flags_.data + ": holds no data"), std::string::npos) << refusal();
}

TEST_F(EvaluationRequest, TheOutputIsNeverAFileThatIsRead) {
  flags_.output = flags_.data;
  EXPECT_NE(refusal().find("is the file of --data"), std::string::npos) << refusal();
  flags_.output = (temp_ / "model/config.json").string();
  EXPECT_NE(refusal().find("is a file of the model"), std::string::npos) << refusal();
  flags_.output = (temp_ / "model").string();
  EXPECT_NE(refusal().find("is not a file"), std::string::npos) << refusal();
}

TEST_F(EvaluationRequest, AValueOutOfRangeNamesTheField) {
  flags_.beta = -1;
  EXPECT_NE(refusal().find("loss.beta is -1"), std::string::npos) << refusal();
}

}  // namespace evaluation_request_test
}  // namespace equipoise
