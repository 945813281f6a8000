#include "common/config/foreign_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "common/config/field_check.h"
#include "common/config/message_schema.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {
namespace foreign_names_test {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using testing::HasSubstr;
using testing::StartsWith;

struct Setting {
  std::string kind, name;
};

// Of TRL, transformers and PEFT: golden/README.md.
std::vector<Setting> others() {
  std::ifstream file("golden/trl/settings.txt");
  std::vector<Setting> settings;
  for (Setting one; file >> one.kind >> one.name;) settings.push_back(one);
  return settings;
}

// The field at a path such as "optimizer.schedule.type".
const FieldDescriptor* field_at(std::string_view path) {
  const Descriptor* section = v1::JobSpec::descriptor();
  while (section != nullptr) {
    const std::size_t dot = path.find('.');
    const FieldDescriptor* field = section->FindFieldByName(std::string(path.substr(0, dot)));
    if (field == nullptr || dot == path.npos) return field;
    section = field->message_type();
    path.remove_prefix(dot + 1);
  }
  return nullptr;
}

const EnumDescriptor& enum_of(const std::string& name) {
  return *v1::JobSpec::descriptor()->file()->FindEnumTypeByName(name);
}

bool is_value(const EnumDescriptor& type, std::string_view name) {
  for (int i = 1; i < type.value_count(); ++i) {
    if (short_enum_name(*type.value(i)) == name) return true;
  }
  return false;
}

std::string advice(std::string_view key) { return advice_for_key(key).value_or("nothing"); }

TEST(ForeignNames, EverySettingOfTrlTransformersAndPeftIsKnownOrExplained) {
  const auto settings = others();
  ASSERT_GT(settings.size(), 250U);
  const std::set<std::string> enums = {"OptimizerNames", "SchedulerType", "loss_type"};
  for (const auto& [kind, name] : settings) {
    if (enums.contains(kind)) continue;
    EXPECT_TRUE(is_known_elsewhere(*v1::JobSpec::descriptor(), name) || advice_for_key(name)) << kind << "." << name;
  }
}

TEST(ForeignNames, EveryOptimizerScheduleAndLossOfOthersIsKnownOrExplained) {
  for (const auto& [kind, name] : others()) {
    const bool is_optimizer = kind == "OptimizerNames", is_schedule = kind == "SchedulerType";
    if (!is_optimizer && !is_schedule && kind != "loss_type") continue;
    const EnumDescriptor& type = enum_of(is_optimizer ? "OptimizerType" : is_schedule ? "ScheduleType" : "LossType");
    EXPECT_TRUE(is_value(type, name) || advice_for_value(type, name)) << kind << " " << name;
  }
}

TEST(ForeignNames, NameSettingsThatAJobHas) {
  for (const ForeignKey& key : foreign_keys()) {
    EXPECT_FALSE(key.ours.empty() && key.note.empty()) << key.names;
    if (key.ours.empty()) continue;
    const FieldDescriptor* field = field_at(key.ours.substr(0, key.ours.find(':')));
    ASSERT_NE(field, nullptr) << key.ours;
    if (field->enum_type() == nullptr || key.ours.find(": ") == key.ours.npos) continue;
    EXPECT_TRUE(is_value(*field->enum_type(), key.ours.substr(key.ours.find(": ") + 2))) << key.ours;
  }
  for (const ForeignValue& value : foreign_values()) {
    const EnumDescriptor* type = v1::JobSpec::descriptor()->file()->FindEnumTypeByName(std::string(value.type));
    ASSERT_NE(type, nullptr) << value.type;
    EXPECT_TRUE(value.ours.empty() || is_value(*type, value.ours)) << value.ours;
  }
}

TEST(ForeignNames, StandOnceInTheTables) {
  std::set<std::string> keys;
  for (const ForeignKey& key : foreign_keys()) {
    std::istringstream names{std::string(key.names)};
    for (std::string name; names >> name;) EXPECT_TRUE(keys.insert(name).second) << name;
  }
  std::set<std::string> values;
  for (const ForeignValue& value : foreign_values()) {
    std::istringstream names{std::string(value.names)};
    for (std::string name; names >> name;) {
      EXPECT_TRUE(values.insert(std::string(value.type) + " " + name).second) << name;
    }
  }
}

TEST(ForeignNames, SayTheKeyOrWhyThereIsNone) {
  EXPECT_THAT(advice("bf16"), StartsWith("expected model.dtype: bfloat16 ("));
  EXPECT_THAT(advice("report_to"), StartsWith("a job has no such setting: metrics.jsonl"));
  EXPECT_EQ(advice("save_steps"), "expected checkpoint.every_steps (optimiser steps)");
  EXPECT_EQ(advice("save_total_limit"), "expected checkpoint.keep (how many of the newest stay)");
  EXPECT_THAT(advice("resume_from_checkpoint"), StartsWith("expected training.resume_from_checkpoint (latest or a"));
  EXPECT_THAT(advice("save_only_model"), StartsWith("expected checkpoint.every_steps (a checkpoint has all"));
  EXPECT_EQ(advice("warmup_ratio"), "expected optimizer.schedule.warmup_steps (the ratio times the number of steps)");
  EXPECT_THAT(advice("gradient_accumulation_steps"), StartsWith("expected training.global_batch_size ("));
  EXPECT_EQ(advice("lr"), "expected optimizer.learning_rate");
  EXPECT_EQ(advice("no such thing"), "nothing");
  EXPECT_EQ(advice(std::string(1 << 16, 'a')), "nothing");
}

TEST(ForeignNames, DoNotDependOnCaseAndDashes) {
  EXPECT_EQ(advice("--per-device-train-batch-size"), advice("per_device_train_batch_size"));
  EXPECT_EQ(advice("reportTo"), advice("report_to"));
}

TEST(ForeignNames, SayTheValueOfAnEnum) {
  EXPECT_EQ(advice_for_value(enum_of("LossType"), "sigmoid"), "dpo");
  EXPECT_EQ(advice_for_value(enum_of("OptimizerType"), "adamw_torch"), "adamw");
  EXPECT_EQ(advice_for_value(enum_of("ScheduleType"), "cosine_with_min_lr"), "cosine (it falls to 0)");
  EXPECT_EQ(advice_for_value(enum_of("DType"), "bf16"), "bfloat16");
  EXPECT_EQ(advice_for_value(enum_of("LossType"), "adamw_torch"), std::nullopt);
}

TEST(ForeignNames, EveryFieldOfDpoConfigIsInTheTableOfTheDocs) {
  std::ifstream file("../docs/from-trl.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  for (const auto& [kind, name] : others()) {
    if (kind != "DPOConfig") continue;
    EXPECT_THAT(page, HasSubstr("`" + name + "`"));
  }
}

}  // namespace foreign_names_test
}  // namespace equipoise
