#include "common/config/yaml_advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "common/config/yaml_message.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {
namespace yaml_advice_test {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// What is said of a job; empty if it is read.
std::string refusal(const std::string& text) {
  const YamlSource source = YamlSource::file("job.yaml");
  v1::JobSpec spec;
  try {
    merge_yaml(source, parse_yaml(source, text), spec);
  } catch (const std::invalid_argument& refused) {
    return refused.what();
  }
  return "";
}

TEST(YamlAdvice, CallsATabATabOnItsOwnLine) {
  const std::string wanted = ": not YAML: the line is indented with a tab, expected spaces";
  EXPECT_EQ(refusal("name: a\nloss:\n\tbeta: 1\n"), "job.yaml:3" + wanted);
  EXPECT_EQ(refusal("loss:\n  beta: 1\n\ttype: dpo\n"), "job.yaml:3" + wanted);
  EXPECT_EQ(refusal("loss:\n  \tbeta: 1\nname: a\n"), "job.yaml:2" + wanted);
  EXPECT_EQ(refusal("name: a\n\t# a comment\nloss: {beta: 1}\n"), "job.yaml:2" + wanted);
  EXPECT_EQ(refusal("decay:\n\t- norm\n"), "job.yaml:2" + wanted);
}

TEST(YamlAdvice, TabsThatYamlAllowsAreRead) {
  EXPECT_EQ(refusal("name:\ta\nloss: {beta:\t1}\t# a comment\n"), "");
  EXPECT_EQ(refusal("{\n\t\"name\": \"a\",\n\t\"loss\": {\n\t\t\"beta\": 0.1\n\t}\n}\n"), "");
}

TEST(YamlAdvice, NamesTheSlipBehindWhatIsNotYaml) {
  EXPECT_THAT(refusal("name: a\noutput: C: runs\n"), AllOf(StartsWith("job.yaml:2: "), EndsWith("belongs in quotes")));
  for (const char* start : {"*.q_proj", "%x", "@x", "`x`", "&"}) {
    EXPECT_THAT(refusal(std::string("output: ") + start + "\n"), EndsWith("belongs in quotes")) << start;
  }
  EXPECT_THAT(refusal("output: \"C:\\data\"\n"), HasSubstr("in single quotes it does not"));
  EXPECT_THAT(refusal("name: [a\n"), EndsWith("a [ is not closed"));
  EXPECT_THAT(refusal("loss:\n   beta: 1\n  type: dpo\n"), HasSubstr("begin in the same column"));
}

TEST(YamlAdvice, AQuoteThatIsNeverClosedDoesNotSwallowTheRest) {
  EXPECT_THAT(refusal("name: a\noutput: 'runs/x\nloss: {beta: 5}\n"), EndsWith("a quote is not closed"));
  EXPECT_THAT(refusal("name: a\noutput: \"runs/x\n"), EndsWith("a quote is not closed"));
  EXPECT_EQ(refusal("name: a\noutput: 'runs/x'"), "");
}

TEST(YamlAdvice, ASpaceIsMissedAfterAColon) {
  const std::string advice = "; a space belongs after the colon";
  EXPECT_THAT(refusal("loss: {beta:0.1}\n"), EndsWith(advice));
  EXPECT_THAT(refusal("loss:\n  beta:0.1\n"), EndsWith(advice));
  EXPECT_THAT(refusal("name = a\n"), EndsWith("expected a mapping of lines \"KEY: VALUE\""));
}

TEST(YamlAdvice, OtherEncodingsAreNamed) {
  EXPECT_EQ(refusal(std::string("\xFF\xFEn\0a\0", 6)),
            "job.yaml:1: the text is not UTF-8 but UTF-16; save it as UTF-8");
  EXPECT_EQ(refusal("\xEF\xBB\xBFname: a\n"), "");
}

TEST(YamlAdvice, ASectionThatIsOneValueIsShownAsASection) {
  EXPECT_EQ(refusal("loss: ipo\n"), "job.yaml:1: loss is \"ipo\", expected a mapping such as {type: ipo}");
  EXPECT_EQ(refusal("loss: sigmoid\n"), "job.yaml:1: loss is \"sigmoid\", expected a mapping such as {type: dpo}");
  EXPECT_EQ(refusal("model: models/sft\n"),
            "job.yaml:1: model is \"models/sft\", expected a mapping such as {path: models/sft}");
  EXPECT_THAT(refusal("optimizer: {schedule: cosine}\n"), EndsWith("such as {type: cosine}"));
  EXPECT_THAT(refusal("model: {lora: true}\n"), EndsWith("{} takes the defaults"));
  EXPECT_THAT(refusal("data: {train_files: [a.jsonl, b.jsonl]}\n"), EndsWith("such as {path: a.jsonl}"));
}

TEST(YamlAdvice, AListWhereOneFileIsWanted) {
  const std::string advice = "expected one value; several files are data.train_files: [{path: FILE}, {path: FILE}]";
  EXPECT_EQ(refusal("data: {train: [a.jsonl, b.jsonl]}\n"), "job.yaml:1: data.train is a list, " + advice);
  EXPECT_EQ(refusal("data:\n  train: {path: a.jsonl}\n"), "job.yaml:2: data.train is a mapping, " + advice);
  EXPECT_THAT(refusal("data: {validation: [a]}\n"), HasSubstr("data.validation_files: [{path"));
}

TEST(YamlAdvice, AValueWhereAListIsWanted) {
  EXPECT_THAT(refusal("model: {lora: {target_modules: all-linear}}\n"), EndsWith("a list such as [all-linear]"));
  EXPECT_THAT(refusal("data: {group_columns: country}\n"), EndsWith("a list such as [country]"));
}

TEST(YamlAdvice, UsualWaysToWriteTruthNumbersAndNothing) {
  EXPECT_THAT(refusal("data: {shuffle: no}\n"), EndsWith("expected true or false; write false"));
  EXPECT_THAT(refusal("overwrite: 1\n"), EndsWith("expected true or false; write true"));
  EXPECT_THAT(refusal("training: {max_steps: 1_000}\n"), EndsWith("expected an integer; without separators"));
  EXPECT_THAT(refusal("loss: {label_smoothing: 10%}\n"), HasSubstr("a share is written as 0.1"));
  EXPECT_THAT(refusal("loss: {beta: 1/10}\n"), HasSubstr("digits alone"));
  EXPECT_THAT(refusal("data: {max_length: None}\n"), EndsWith("leave the key out for its default"));
}

TEST(YamlAdvice, WhatOthersCallItIsTranslated) {
  EXPECT_EQ(refusal("name: a\nloss: {type: sigmoid}\n"),
            "job.yaml:2: loss.type is \"sigmoid\", expected dpo | ipo | sft | hinge | robust; for sigmoid: dpo");
  EXPECT_THAT(refusal("optimizer: {type: adamw_torch}\n"), EndsWith("; for adamw_torch: adamw"));
  EXPECT_EQ(refusal("optimizer:\n  lr: 1e-5\n"),
            "job.yaml:2: unknown key \"optimizer.lr\", expected optimizer.learning_rate");
  EXPECT_EQ(refusal("training: {save_steps: 5}\n").find("the nearest"), std::string::npos);
  EXPECT_THAT(refusal("a: &b {c: 1}\n"), HasSubstr("unknown key \"a\", expected one of name, model, data"));
  EXPECT_THAT(refusal("loss: &l {beta: 1}\ndata:\n  <<: *l\n"), HasSubstr("merge key is not read"));
}

}  // namespace yaml_advice_test
}  // namespace equipoise
