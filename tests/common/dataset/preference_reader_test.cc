// Pairs one at a time, and where their groups come from.
#include "common/dataset/preference_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <stdexcept>

#include "common/dataset/preference_writer.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace preference_reader_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

std::string line(const std::string& more) {
  return R"({"prompt": "p", "chosen": "c", "rejected": "r")" + (more.empty() ? "" : ", " + more) + "}\n";
}

class PreferenceReading : public testing::Test {
 protected:
  PreferenceReader reader(const std::string& text, PreferenceReadSettings settings = {}) {
    return PreferenceReader(folder_.write("pairs.jsonl", text), std::move(settings));
  }

  // Memberships of the only pair by name.
  std::map<std::string, double> groups(const std::string& text, const PreferenceReadSettings& settings) {
    PreferenceReader pairs = reader(text, settings);
    PreferencePair pair;
    EXPECT_TRUE(pairs.next(pair));
    std::map<std::string, double> weights;
    for (const Membership& membership : pair.memberships) {
      weights[pairs.group_names().at(membership.group)] = membership.weight;
    }
    EXPECT_FALSE(pairs.next(pair));
    return weights;
  }

  std::string refusal(const std::string& text, const PreferenceReadSettings& settings) {
    try {
      PreferenceReader pairs = reader(text, settings);
      for (PreferencePair pair; pairs.next(pair);) {
      }
    } catch (const std::invalid_argument& problem) {
      const std::string what = problem.what();
      const std::size_t name = what.find("pairs.jsonl");
      return name == std::string::npos ? what : what.substr(name + 11);
    }
    return "accepted";
  }

  static PreferenceReadSettings by(std::vector<std::string> columns, const std::string& separator = "") {
    return {.group_separator = separator, .group_columns = std::move(columns)};
  }

  TempFolder folder_;
};

TEST_F(PreferenceReading, GivesOnePairAtATimeAndLeavesNothingOfTheOneBefore) {
  PreferenceReader pairs =
      reader(R"({"chosen": [{"role": "user", "content": "q"}, {"role": "a", "content": ""}], )"
             R"("rejected": [{"role": "user", "content": "q"}, {"role": "b", "content": ""}], "tools": [1], )"
             R"("chat_template_kwargs": {"x": 1}, "group": ["a", "b"], "chosen_share": 0.5})"
             "\n\n"
             R"({"chosen": "q yes", "rejected": "q no", "group": "c", "chosen_share": 1})");
  PreferencePair pair;
  ASSERT_TRUE(pairs.next(pair));
  EXPECT_EQ(pair.tools, "[1]");
  EXPECT_EQ(pair.line, 1);
  EXPECT_THAT(pairs.group_names(), ElementsAre("a", "b"));
  ASSERT_TRUE(pairs.next(pair));
  EXPECT_EQ(preference_line(pair, pairs.group_names()),
            R"({"prompt":"q","chosen":" yes","rejected":" no","group":"c","chosen_share":1.0})");
  EXPECT_EQ(pair.form, AnswerForm::kText);
  EXPECT_EQ(pair.tools + pair.template_variables, "");
  EXPECT_EQ(pair.line, 3);
  EXPECT_EQ(pairs.place(pair.line), (folder_ / "pairs.jsonl").string() + ":3");
  EXPECT_FALSE(pairs.next(pair));
}

TEST_F(PreferenceReading, AConstantGroupCountsWhateverTheLinesSay) {
  EXPECT_THAT(groups(line(R"("group": 7)"), {.group = "India"}), ElementsAre(Pair("India", 1)));
  EXPECT_THAT(groups(line(""), {.group_separator = "/", .group = "Asia/India"}),
              UnorderedElementsAre(Pair("Asia", 1), Pair("Asia/India", 1)));
  EXPECT_THAT(refusal(line(""), {.group = " "}), HasSubstr("is \" \", expected a name of 1 to 256 bytes"));
  EXPECT_THAT(refusal(line(""), {.group_columns = {"country"}, .group = "India"}),
              HasSubstr("group \"India\" is given beside group columns \"country\""));
}

TEST_F(PreferenceReading, OneColumnOfAnyNameSaysTheGroupAsTheUsualOneDoes) {
  EXPECT_THAT(groups(line(R"("country": "India", "group": "x")"), by({"country"})), ElementsAre(Pair("India", 1)));
  EXPECT_THAT(groups(line(R"("country": ["India", "Asia"])"), by({"country"})),
              ElementsAre(Pair("Asia", 1), Pair("India", 1)));
  EXPECT_THAT(groups(line(R"("country": {"India": 0.5})"), by({"country"})), ElementsAre(Pair("India", 0.5)));
  EXPECT_THAT(groups(line(R"("label": -3)"), by({"label"})), ElementsAre(Pair("-3", 1)));
  EXPECT_THAT(refusal(line(R"("country": {"India": 2})"), by({"country"})),
              HasSubstr("field \"country\" gives \"India\" the membership 2"));
}

// Columns of integers with a gap are floating-point ones in pandas: "is 1, expected a name" was said of those.
TEST_F(PreferenceReading, AFloatingPointNumberIsNoGroup) {
  EXPECT_EQ(refusal(line(R"("group": 1.0)"), {}),
            ":1: field \"group\" is the floating-point number 1, expected a name, a list of names or an object of "
            "memberships: texts, integers, true and false are names");
  EXPECT_THAT(refusal(line(R"("group": [1.0])"), {}), HasSubstr("is the floating-point number 1, expected names"));
}

TEST_F(PreferenceReading, SeveralColumnsAreCrossedIntoOneName) {
  const std::string both = line(R"("age": 30, "country": "India", "urban": true)");
  EXPECT_THAT(groups(both, by({"country", "age"})), ElementsAre(Pair("India & 30", 1)));
  EXPECT_THAT(groups(both, by({"urban", "country"})), ElementsAre(Pair("true & India", 1)));
  EXPECT_THAT(groups(both, by({"country", "age"}, "/")), UnorderedElementsAre(Pair("India", 1), Pair("India/30", 1)));
}

TEST_F(PreferenceReading, CrossedColumnsAreNamedWhereTheyAreWrong) {
  const PreferenceReadSettings settings = by({"country", "age"});
  EXPECT_EQ(refusal(line(R"("country": "India", "age": 30)") + line(R"("country": "India")"), settings),
            ":2: field \"age\" is missing, expected one on every line: it is a group column");
  EXPECT_THAT(refusal(line(R"("country": null, "age": 3)"), settings), HasSubstr(":1: field \"country\" is null"));
  EXPECT_EQ(
      refusal(line(R"("country": "India", "age": 3.5)"), settings),
      ":1: field \"age\" is the floating-point number 3.5, expected text, an integer, true or false: texts, integers, "
      "true and false are names");
  EXPECT_THAT(refusal(line(R"("country": ["India"], "age": 3)"), settings), HasSubstr("field \"country\" is a list"));
  EXPECT_THAT(refusal(line(R"("country": " ", "age": 3)"), settings), HasSubstr("field \"country\" is \" \""));
  EXPECT_THAT(refusal(line(R"("country": "a", "age": 3, "age": 3)"), settings), HasSubstr("\"age\" is given twice"));
}

TEST_F(PreferenceReading, ColumnsThatCannotBeGroupsAreRefused) {
  EXPECT_THAT(refusal(line(""), by({})), HasSubstr("there is no group column"));
  EXPECT_THAT(refusal(line(""), by({"a", ""})), HasSubstr("group column \"\" is empty"));
  EXPECT_THAT(refusal(line(""), by({"a", "a"})), HasSubstr("group column \"a\" is given twice"));
  for (const std::string column : {"prompt", "chosen_share", "weight", "ref_chosen_logps"}) {
    EXPECT_THAT(refusal(line(""), by({column})),
                HasSubstr("group column \"" + column + "\" is a field of the answers"));
  }
}

TEST_F(PreferenceReading, TheFirstLineDecidesWhetherPairsHavePrompts) {
  const std::string without = R"({"chosen": "q yes", "rejected": "q no"})";
  EXPECT_EQ(refusal(line("") + without, {}),
            ":2: field \"prompt\" is missing, but not on line 1, expected all lines to have one or none");
  EXPECT_EQ(refusal(without + "\n" + line(""), {}),
            ":2: field \"prompt\" is there, but not on line 1, expected all lines to have one or none");
}

TEST_F(PreferenceReading, KnowsWhichFieldsAreUsedAndWhichAreNot) {
  PreferenceReader pairs = reader(line(R"("group": "a", "margin": 1, "id": 3, "note": null, "tools": [1])") +
                                  line(R"("group": "a", "id": 4, "system": "s")"));
  for (PreferencePair pair; pairs.next(pair);) {
  }
  EXPECT_THAT(pairs.fields().used, ElementsAre("prompt", "chosen", "rejected", "group"));
  EXPECT_THAT(pairs.fields().unused, UnorderedElementsAre("margin", "id", "system", "tools"));
  EXPECT_THAT(
      field_notes(pairs.fields()),
      ElementsAre(testing::AllOf(HasSubstr("\"margin\" (of reward models"), HasSubstr("\"id\", "),
                                 HasSubstr("\"tools\" (of messages alone"), HasSubstr("\"system\" (a system"))));
  EXPECT_TRUE(field_notes({.used = {"prompt"}, .unused = {}}).empty());
}

// The question was passed over, and the pairs were trained on without it.
TEST_F(PreferenceReading, SaysThatPromptsAreEmptyWhereAnotherFieldMayBeMeant) {
  const auto notes = [&](const std::string& text) {
    PreferenceReader pairs = reader(text);
    for (PreferencePair pair; pairs.next(pair);) {
    }
    return field_notes(pairs.fields());
  };
  const std::string answers = R"("chosen": "c", "rejected": "r"})"
                              "\n";
  const std::string said =
      R"(rows whose "prompt" is absent or empty: 2; perhaps "question" is meant: rename it to "prompt")";
  for (const std::string prompt : {"", R"("prompt": "", )"}) {
    const std::string one = "{" + prompt + R"("question": "q", )" + answers;
    EXPECT_THAT(notes(one + one), ElementsAre(HasSubstr("not used: \"question\""), said)) << prompt;
  }
  EXPECT_THAT(notes("{" + answers), testing::IsEmpty());
  EXPECT_THAT(notes(line(R"("question": "q")")), ElementsAre(HasSubstr("not used")));
  EXPECT_THAT(
      notes(R"({"question": "q", "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": )"
            R"("c"}], "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}]})"),
      ElementsAre(HasSubstr("not used")));
}

TEST_F(PreferenceReading, CountsThePairsWhoseAnswersAreNotTheAssistants) {
  const auto pair_of = [](const std::string& chosen, const std::string& rejected) {
    const std::string user = R"([{"role": "user", "content": "q"}, )";
    return R"({"chosen": )" + user + chosen + R"(], "rejected": )" + user + rejected + "]}\n";
  };
  const std::string answer = R"({"role": "assistant", "content": "a"})", human = R"({"role": "human", "content": "b"})",
                    tool = R"({"role": "tool", "content": "t"}, )", large = R"({"role": "Assistant", "content": "b"})";
  PreferenceReader pairs = reader(pair_of(answer, tool + answer) + pair_of(large, human) + pair_of(answer, human));
  for (PreferencePair pair; pairs.next(pair);) {
  }
  EXPECT_THAT(field_notes(pairs.fields()),
              ElementsAre(HasSubstr("pairs with an answer whose role is not \"assistant\": 2;")));
}

TEST_F(PreferenceReading, NamesABoundedNumberOfUnusedFields) {
  std::string more;
  for (int i = 0; i < 1000; ++i) more += (i > 0 ? ", \"x" : "\"x") + std::to_string(i) + "\": 1";
  PreferenceReader pairs = reader(line(more));
  PreferencePair pair;
  ASSERT_TRUE(pairs.next(pair));
  EXPECT_EQ(pairs.fields().unused.size(), DataFields::kMostUnused);
}

// With pairs of several files a default of one would stand beside what the others say.
TEST(SameFields, AreOfAllFilesOrOfNone) {
  const FileFields with{.file = "a.jsonl", .fields = {.used = {"weight"}, .unused = {}}, .says_group = true};
  FileFields without{.file = "b.jsonl", .fields = {}, .says_group = true};
  constexpr std::array<std::string_view, 2> kNames = {"group", "weight"};
  const auto refusal = [&] { return refusal_of([&] { check_same_fields(std::array{with, without}, kNames); }); };
  EXPECT_EQ(refusal(),
            "b.jsonl: field \"weight\" is missing, but a.jsonl has it, expected all files to have it or none");
  without.says_group = false;
  EXPECT_THAT(refusal(), HasSubstr("b.jsonl: field \"group\" is missing, but a.jsonl has it"));
  without = with;
  EXPECT_EQ(refusal(), "accepted");
}

}  // namespace preference_reader_test
}  // namespace equipoise
