// Levels of groups in preference files: data.group_separator.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "common/dataset/preference_pair.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace group_columns_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

class GroupLevels : public testing::Test {
 protected:
  PreferenceData read(const std::string& group, const std::string& separator = "/") {
    return read_groups({group}, separator);
  }

  PreferenceData read_groups(const std::vector<std::string>& groups, const std::string& separator = "/",
                             std::vector<std::string> known_groups = {}) {
    std::ofstream file(file_);
    for (const std::string& group : groups) {
      file << R"({"prompt": "p", "chosen": "c", "rejected": "r", "group": )" << group << "}\n";
    }
    file.close();
    return read_preference_file(file_, Rejected::kRequired, std::move(known_groups), separator);
  }

  // Of the first pair, by name.
  std::map<std::string, double> memberships(const std::string& group, const std::string& separator = "/") {
    const PreferenceData data = read(group, separator);
    std::map<std::string, double> weights;
    for (const Membership& membership : data.pairs.at(0).memberships) {
      weights[data.group_names.at(membership.group)] = membership.weight;
    }
    return weights;
  }

  std::string refusal(const std::string& group) {
    return refusal_of([&] { read(group); });
  }

  TempFolder folder_;
  std::filesystem::path file_ = folder_.path() / "pairs.jsonl";
};

TEST_F(GroupLevels, APairIsAMemberOfEveryLevelWithOneWeight) {
  EXPECT_THAT(memberships(R"("Asia/India/Kerala")"),
              UnorderedElementsAre(Pair("Asia", 1), Pair("Asia/India", 1), Pair("Asia/India/Kerala", 1)));
  EXPECT_THAT(memberships(R"({"Asia/India": 0.5})"), UnorderedElementsAre(Pair("Asia", 0.5), Pair("Asia/India", 0.5)));
}

TEST_F(GroupLevels, ALevelMetSeveralTimesHasItsLargestWeight) {
  EXPECT_THAT(
      memberships(R"({"Asia/India": 0.25, "Asia/Japan": 0.5, "Europe": 1})"),
      UnorderedElementsAre(Pair("Asia", 0.5), Pair("Asia/India", 0.25), Pair("Asia/Japan", 0.5), Pair("Europe", 1)));
  EXPECT_THAT(memberships(R"({"Asia/India": 0.25, "Asia": 1})"),
              UnorderedElementsAre(Pair("Asia", 1), Pair("Asia/India", 0.25)));
}

TEST_F(GroupLevels, ALevelComesBeforeThoseBelowIt) {
  const PreferenceData data = read_groups({R"("Asia/India")", R"("Europe")", R"("Asia/Japan")"});
  EXPECT_THAT(data.group_names, ElementsAre("Asia", "Asia/India", "Europe", "Asia/Japan"));
  for (const PreferencePair& pair : data.pairs) {
    for (std::size_t i = 1; i < pair.memberships.size(); ++i) {
      EXPECT_LT(pair.memberships[i - 1].group, pair.memberships[i].group);
    }
  }
}

TEST_F(GroupLevels, KnownGroupsKeepTheirIds) {
  const PreferenceData data = read_groups({R"("Asia/Japan")"}, "/", {"Asia", "Asia/India"});
  EXPECT_THAT(data.group_names, ElementsAre("Asia", "Asia/India", "Asia/Japan"));
}

TEST_F(GroupLevels, TheSeparatorIsTheOneGiven) {
  EXPECT_THAT(memberships(R"("Asia > India")", " > "), UnorderedElementsAre(Pair("Asia", 1), Pair("Asia > India", 1)));
  EXPECT_THAT(memberships(R"("Asia/India")", ":"), UnorderedElementsAre(Pair("Asia/India", 1)));
  EXPECT_THAT(memberships(R"("Asia/India")", ""), UnorderedElementsAre(Pair("Asia/India", 1)));
}

TEST_F(GroupLevels, RefusesALevelWithoutAName) {
  for (const std::string group : {"/Asia", "Asia/", "Asia//India", "/", "Asia/ /India"}) {
    const std::string quoted = "\"" + group + "\"";
    EXPECT_THAT(refusal(quoted),
                HasSubstr("pairs.jsonl:1: field \"group\" is " + quoted + ", expected a name on each"));
    EXPECT_THAT(refusal("[" + quoted + "]"), HasSubstr(quoted));
  }
}

TEST_F(GroupLevels, AGroupNamedTwiceIsRefusedAsEver) {
  EXPECT_THAT(refusal(R"(["Asia/India", "Asia/India"])"), HasSubstr("names \"Asia/India\" twice"));
}

}  // namespace group_columns_test
}  // namespace equipoise
