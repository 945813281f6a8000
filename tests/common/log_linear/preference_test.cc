#include "common/log_linear/preference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "tests/support/temp_folder.h"

namespace equipoise::log_linear {
namespace preference_test {

const Problem kProblem{FeatureMap::kSame, 8, {{1, 3, 1, 3}, {3, 1, 3, 1}}, {}};
constexpr const char* kGoodLine = R"({"state": [0.5, 1], "group": 1, "chosen": 7, "rejected": 0})";

class PreferenceFile : public testing::Test {
 protected:
  void write(const std::string& text) { std::ofstream(path_, std::ios::binary) << text; }
  std::vector<Preference> read(const std::string& text) {
    write(text);
    return read_noted_preferences(path_, kProblem).preferences;
  }
  // What is said of a file whose second line is this one.
  std::string refusal_of(const std::string& line, const std::string& first = kGoodLine) {
    try {
      read(first + "\n" + line + "\n");
      return "";
    } catch (const std::invalid_argument& refused) {
      const std::string where = path_.string() + ":2: ";
      EXPECT_THAT(refused.what(), testing::StartsWith(where));
      return std::string(refused.what()).substr(where.size());
    }
  }

  const TempFolder folder_;
  const std::filesystem::path path_ = folder_ / "pairs.jsonl";
};

TEST_F(PreferenceFile, GivesThePairsInItsOrder) {
  const auto pairs = read(std::string(kGoodLine) + "\r\n" +
                          R"({"note": {}, "rejected": 1, "chosen": 2, "state": [-0.25, 1e-3], "group": 0})");
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].state, (std::vector<double>{0.5, 1}));
  EXPECT_EQ(pairs[0].group, 1u);
  EXPECT_EQ(pairs[0].chosen, 7u);
  EXPECT_EQ(pairs[0].rejected, 0u);
  EXPECT_EQ(pairs[1].state, (std::vector<double>{-0.25, 1e-3}));
}

TEST_F(PreferenceFile, KeepsHowManyAgreeWhereNotAllDo) {
  const std::vector<Preference> pairs = {{{0.5, 1}, 0, 1, 2, 1.0 / 3}, {{0.5, 1}, 0, 1, 2}};
  write_preferences(path_, pairs);
  std::ifstream file(path_);
  std::string first, second;
  std::getline(file, first);
  std::getline(file, second);
  EXPECT_THAT(first, testing::HasSubstr("\"chosen_share\": 0.333"));
  EXPECT_THAT(second, testing::HasSubstr("\"chosen_share\": 1"));
  const auto back = read_noted_preferences(path_, kProblem).preferences;
  EXPECT_EQ(back[0].chosen_share, 1.0 / 3);
  EXPECT_EQ(back[1].chosen_share, 1);
}

TEST_F(PreferenceFile, RefusesAShareThatIsNone) {
  const std::string start = R"({"state": [0, 0], "group": 0, "chosen": 1, "rejected": 0, "chosen_share": )";
  for (const std::string share : {"0", "1.5", "-0.1", "\"half\"", "null"}) {
    EXPECT_EQ(refusal_of(start + share + "}", start + "1}"),
              "field \"chosen_share\" is " + share + ", expected a number in (0, 1]");
  }
}

TEST_F(PreferenceFile, ReadsBackBitForBit) {
  const std::vector<Preference> pairs = {{{1.0 / 3, 5e-324}, 0, 1, 2}, {{0.1, 1e300}, 1, 7, 0}};
  write_preferences(path_, pairs);
  const auto again = read_noted_preferences(path_, kProblem).preferences;
  ASSERT_EQ(again.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(again[i].state, pairs[i].state);
    EXPECT_EQ(again[i].group, pairs[i].group);
    EXPECT_EQ(again[i].chosen, pairs[i].chosen);
    EXPECT_EQ(again[i].rejected, pairs[i].rejected);
  }
}

TEST_F(PreferenceFile, NamesLineFieldAndValueOfWhatItRefuses) {
  const std::pair<const char*, const char*> refusals[] = {
      {R"({"state": [0.5, 1], "group": 2, "chosen": 7, "rejected": 0})",
       "field \"group\" is 2, expected an integer from 0 to 1"},
      {R"({"state": [0.5, 1], "group": -1, "chosen": 7, "rejected": 0})",
       "field \"group\" is -1, expected an integer from 0 to 1"},
      {R"({"state": [0.5, 1], "group": "nurse", "chosen": 7, "rejected": 0})",
       "field \"group\" is \"nurse\", expected an integer from 0 to 1"},
      {R"({"state": [0.5, 1], "group": 0, "chosen": 8, "rejected": 0})",
       "field \"chosen\" is 8, expected an integer from 0 to 7"},
      {R"({"state": [0.5, 1], "group": 0, "chosen": 1.5, "rejected": 0})",
       "field \"chosen\" is 1.5, expected an integer from 0 to 7"},
      {R"({"state": [0.5, 1], "group": 0, "chosen": 3, "rejected": 3})",
       "field \"rejected\" is 3, expected another action than \"chosen\""},
      {R"({"state": [0.5], "group": 0, "chosen": 3, "rejected": 4})",
       "field \"state\" is of length 1, expected a list of 2 numbers"},
      {R"({"state": [0.5, null], "group": 0, "chosen": 3, "rejected": 4})",
       "field \"state\" is [0.5,null], expected a list of 2 numbers"},
      {R"({"state": 0.5, "group": 0, "chosen": 3, "rejected": 4})",
       "field \"state\" is 0.5, expected a list of 2 numbers"},
      {R"({"state": [0.5, 1], "group": 0, "rejected": 4})", "field \"chosen\" is missing"},
      {R"({"state": [0.5, 1], "group": 0, "group": 1, "chosen": 3, "rejected": 4})",
       "field \"group\" is there twice, expected once"},
      {"[1, 2]", "the line is not a JSON object, expected one"},
  };
  for (const auto& [line, expected] : refusals) EXPECT_EQ(refusal_of(line), expected) << line;
}

TEST_F(PreferenceFile, RefusesWhatWouldBecomeADefault) {
  const std::string start = R"({"state": [0, 0], "group": 0, "chosen": 1, "rejected": 0)";
  EXPECT_EQ(refusal_of(start + R"(, "chosen_share": 0.5})"),
            "field \"chosen_share\" is there, but not on line 1, expected all lines to have one or none");
  EXPECT_EQ(refusal_of(start + "}", start + R"(, "chosen_share": 0.5})"),
            "field \"chosen_share\" is missing, but not on line 1, expected all lines to have one or none");
  EXPECT_THAT(refusal_of(start + R"(, "Chosen_share": 0.5})"), testing::HasSubstr("where there is \"Chosen_share\""));
  EXPECT_THAT(refusal_of(start + R"(, "weight": 2})"), testing::HasSubstr("field \"weight\" is there, expected none"));
}

TEST_F(PreferenceFile, NamesFieldsThatAreNotUsed) {
  const std::string start = R"({"state": [0, 0], "group": 0, "chosen": 1, "rejected": 0)";
  read(start + R"(, "margin": 1})" + "\n" + start + R"(, "margin": 2, "ref_chosen_logps": -1})" + "\n");
  EXPECT_EQ(read_noted_preferences(path_, kProblem).notes,
            std::vector<std::string>{"fields that are not used: \"margin\" (of reward models: no loss here has it), "
                                     "\"ref_chosen_logps\""});
  read(start + "}\n");
  EXPECT_TRUE(read_noted_preferences(path_, kProblem).notes.empty());
}

TEST_F(PreferenceFile, RefusesWhatIsNotJson) {
  for (const char* line : {"", "{", "{\"state\": [NaN, 1]}", "{} {}"}) {
    EXPECT_THAT(refusal_of(line), testing::StartsWith("the line is not JSON")) << line;
  }
  EXPECT_EQ(refusal_of("{\"state\": [1e999, 0]}"),
            "field \"state\" is 1e999, which a float64 cannot hold, expected a smaller number: write it as text");
  EXPECT_THAT(refusal_of(std::string(1u << 21, ' ')), testing::HasSubstr("longer than 1048576 bytes"));
}

TEST_F(PreferenceFile, IsRefusedIfItIsEmptyOrNotThere) {
  EXPECT_THROW(read(""), std::invalid_argument);
  EXPECT_THROW(read_noted_preferences(folder_ / "absent.jsonl", kProblem), std::invalid_argument);
  EXPECT_THROW(read_noted_preferences(folder_.path(), kProblem), std::invalid_argument);
}

}  // namespace preference_test
}  // namespace equipoise::log_linear
