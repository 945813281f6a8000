#include "client/convert/trainer_settings.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "common/config/message_schema.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise::trainer_settings_test {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using testing::HasSubstr;

// The field at a path such as "optimizer.schedule.type"; nullptr: there is none.
const FieldDescriptor* field_at(std::string_view path) {
  const Descriptor* section = v1::JobSpec::descriptor();
  while (section != nullptr) {
    const std::size_t dot = path.find('.');
    const FieldDescriptor* field = section->FindFieldByName(std::string(path.substr(0, dot)));
    if (field == nullptr || dot == std::string_view::npos) return field;
    section = field->message_type();
    path.remove_prefix(dot + 1);
  }
  return nullptr;
}

std::string text_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(TrainerSettings, HaveEveryNameOfTheTrainers) {
  const std::map<std::string, Trainer> trainers = {{"DPOConfig", Trainer::kTrl},
                                                   {"ModelConfig", Trainer::kTrl},
                                                   {"ScriptArguments", Trainer::kTrl},
                                                   {"TrainingArguments", Trainer::kTrl},
                                                   {"trl", Trainer::kTrl},
                                                   {"axolotl", Trainer::kAxolotl},
                                                   {"llama-factory", Trainer::kLlamaFactory}};
  std::map<Trainer, int> counts;
  for (const char* const path : {"golden/trl/settings.txt", "golden/trainers/settings.txt"}) {
    std::ifstream file(path);
    for (std::string kind, name; file >> kind >> name;) {
      const auto trainer = trainers.find(kind);
      if (trainer == trainers.end()) continue;
      ++counts[trainer->second];
      EXPECT_NE(trainer_table(trainer->second).find(name), nullptr) << kind << " " << name;
    }
  }
  EXPECT_GT(counts[Trainer::kTrl], 160);
  EXPECT_GT(counts[Trainer::kAxolotl], 380);
  EXPECT_GT(counts[Trainer::kLlamaFactory], 220);
}

TEST(TrainerSettings, NameEachSettingOnce) {
  for (const TrainerTable& table : trainer_tables()) {
    std::set<std::string_view> names;
    for (const auto& part : table.settings) {
      for (const TrainerSetting& setting : part) {
        for (const std::string_view name : words_of(setting.names)) {
          const bool is_new = names.insert(name).second;
          EXPECT_TRUE(is_new) << table.name << " " << name;
        }
      }
    }
  }
}

TEST(TrainerSettings, LeadToKeysOfAJobOrSayWhyNot) {
  for (const TrainerTable& table : trainer_tables()) {
    for (const auto& part : table.settings) {
      for (const TrainerSetting& setting : part) {
        SCOPED_TRACE(std::string(table.name) + " " + std::string(setting.names));
        if (setting.rule == SettingRule::kCopied || setting.rule == SettingRule::kComputed) {
          EXPECT_NE(field_at(setting.ours), nullptr) << setting.ours;
        } else if (setting.rule == SettingRule::kRenamed) {
          EXPECT_NE(trainer_table(Trainer::kTrl).find(setting.ours), nullptr) << setting.ours;
        } else {
          EXPECT_TRUE(setting.ours.empty());
          EXPECT_FALSE(setting.note.empty());
        }
      }
    }
  }
}

// docs/convert.md has what `equipoise convert --settings` prints.
TEST(TrainerSettings, StandInTheDocumentation) {
  const std::string page = text_of("../docs/convert.md");
  for (const TrainerTable& table : trainer_tables()) {
    EXPECT_THAT(page, HasSubstr(settings_markdown(table)))
        << "write it anew: equipoise convert --settings --from " << table.name;
    for (const std::string_view difference : table.differences) EXPECT_THAT(page, HasSubstr(std::string(difference)));
  }
}

// A row of docs/from-trl.md says the same of a setting as the table does.
TEST(TrainerSettings, AgreeWithThePageOnTrl) {
  std::ifstream page("../docs/from-trl.md");
  const TrainerTable& table = trainer_table(Trainer::kTrl);
  int compared = 0;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("| `") || std::ranges::count(line, '|') != 3) continue;
    const std::string first = line.substr(0, line.find('|', 1)), second = line.substr(first.size());
    for (std::size_t begin = 0; (begin = first.find('`', begin)) != std::string::npos;) {
      const std::size_t end = first.find('`', begin + 1);
      const std::string name = first.substr(begin + 1, end - begin - 1);
      begin = end + 1;
      const TrainerSetting* const setting = table.find(name);
      if (setting == nullptr || setting->rule != SettingRule::kCopied) continue;
      ++compared;
      const std::string_view ours = setting->ours;
      EXPECT_THAT(second, HasSubstr(std::string(ours.substr(ours.rfind('.') + 1)))) << line;
    }
  }
  EXPECT_GE(compared, 8);
}

TEST(TrainerSettings, TranslateWithoutRegardToCase) {
  EXPECT_EQ(translated("true=yes false=", "True"), "yes");
  EXPECT_EQ(translated("true=yes false=", "FALSE"), "");
  EXPECT_EQ(translated("0 0.0", "0.0"), "0.0");
  EXPECT_EQ(translated("true=yes", "maybe"), std::nullopt);
}

}  // namespace
}  // namespace equipoise::trainer_settings_test
