// Pairs one at a time, and where their groups come from.
#include "common/dataset/preference_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>

#include "client/data/preference_writer.h"
#include "common/dataset/preference_pair.h"
#include "tests/support/preference_lines.h"
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

using testing::ElementsAre;
using testing::HasSubstr;

class PreferenceFile : public testing::Test {
 protected:
  PreferenceData read(const std::string& text, Rejected rejected = Rejected::kRequired) {
    std::ofstream(file_, std::ios::binary) << text;
    return read_preference_file(file_, rejected);
  }

  std::string refusal(const std::string& text) {
    return refusal_in(folder_, [&] { read(text); });
  }

  const TempFolder temp_;
  const std::filesystem::path folder_ = temp_.path();
  const std::filesystem::path file_ = folder_ / "pairs.jsonl";
};

const std::string kGood = R"({"prompt": "p", "chosen": "c", "rejected": "r", "group": "India"})";

std::string with_group(const std::string& group) {
  return R"({"prompt": "p", "chosen": "c", "rejected": "r", "group": )" + group + "}";
}

TEST_F(PreferenceFile, GivesPairsInTheOrderOfTheFile) {
  const PreferenceData data = read(kGood + "\n" + R"({"group":"Kenya","rejected":"b","chosen":"a","prompt":"q\né"})");
  ASSERT_EQ(data.pairs.size(), 2u);
  EXPECT_EQ(data.pairs[0].prompt, "p");
  EXPECT_EQ(data.pairs[1].prompt, "q\né");
  EXPECT_EQ(data.pairs[1].chosen, "a");
  EXPECT_EQ(data.pairs[1].rejected, "b");
  EXPECT_THAT(data.group_names, ElementsAre("India", "Kenya"));
  EXPECT_EQ(data.pairs[1].memberships.at(0).group, 1u);
}

TEST_F(PreferenceFile, GroupMayBeAListOrMembershipsOrAbsent) {
  const PreferenceData data = read(with_group(R"(["b", "a"])") + "\n" + with_group(R"({"a": 0.5, "b": 1})"));
  EXPECT_THAT(data.group_names, ElementsAre("b", "a"));
  ASSERT_EQ(data.pairs[1].memberships.size(), 2u);
  EXPECT_EQ(data.pairs[1].memberships[0].group, 0u);  // ascending by id, not as written
  EXPECT_EQ(data.pairs[1].memberships[0].weight, 1);
  EXPECT_EQ(data.pairs[1].memberships[1].weight, 0.5);
  EXPECT_THAT(read(R"({"prompt": "p", "chosen": "c", "rejected": "r"})").group_names, ElementsAre("all"));
}

TEST_F(PreferenceFile, IntegersAndTruthsAreNamesOfGroups) {
  const PreferenceData data = read(with_group("7") + "\n" + with_group("true") + "\n" + with_group("[7, \"a\", -1]"));
  EXPECT_THAT(data.group_names, ElementsAre("7", "true", "a", "-1"));
  EXPECT_EQ(data.pairs[2].memberships.size(), 3u);
}

// A row without a group once formed a group "all" beside the others: {"group": "A"}, then {"Group": "B"}.
TEST_F(PreferenceFile, AllRowsHaveAFieldOrNone) {
  const std::string start = R"({"prompt": "p", "chosen": "c", "rejected": "r")";
  const std::string plain = start + "}\n";
  for (const std::string field : {R"("group": "A")", R"("chosen_share": 0.5)", R"("weight": 2)",
                                  R"("ref_chosen_logps": -1, "ref_rejected_logps": -2)"}) {
    const std::string given = start + ", " + field + "}\n", name = field.substr(0, field.find(':'));
    EXPECT_EQ(refusal(given + "\n" + given + plain), "pairs.jsonl:4: field " + name +
                                                         " is missing, but not on line 1, expected all lines to have "
                                                         "one or none");
    EXPECT_EQ(refusal(plain + given),
              "pairs.jsonl:2: field " + name + " is there, but not on line 1, expected all lines to have one or none");
    EXPECT_EQ(refusal(given + given), "accepted");
  }
}

TEST_F(PreferenceFile, AMisspeltFieldIsNoDefault) {
  const std::string start = R"({"prompt": "p", "chosen": "c", "rejected": "r", )";
  EXPECT_THAT(refusal(with_group("\"A\"") + "\n" + start + R"("Group": "B"})"),
              HasSubstr("pairs.jsonl:2: field \"group\""));
  EXPECT_EQ(refusal(start + R"("Group": "B"})"),
            "pairs.jsonl:1: field \"group\" is missing where there is \"Group\", expected that name or another: rename "
            "it, or name it as a group column");
  for (const std::string key : {"groups", "gruop", " group", "grup", "Weight", "weights", "weigth", "wieght",
                                "chosenShare", "chosen_shares", "ref_chosen_logp", "Ref-Rejected-Logps"}) {
    EXPECT_THAT(refusal(start + '"' + key + "\": 1}"), HasSubstr("is missing where there is \"" + key + "\"")) << key;
  }
  EXPECT_THAT(refusal(R"({"promt": "p", "chosen": "a b", "rejected": "a c"})"), HasSubstr("there is \"promt\""));
  EXPECT_THAT(refusal(R"({"prompt": "p", "Chosen": "a b", "rejected": "a c"})"), HasSubstr("there is \"Chosen\""));
  // Words of their own, and a second field beside the right one.
  for (const std::string key : {"height", "eight", "group_id", "prompt_id", "country", "score"}) {
    EXPECT_EQ(refusal(start + '"' + key + "\": 1}"), "accepted") << key;
  }
  EXPECT_EQ(refusal(start + R"("group": "A", "Group": "B"})"), "accepted");
}

TEST_F(PreferenceFile, HasWeightsAndTheReferencesLogProbs) {
  const std::string start = R"({"prompt": "p", "chosen": "c", "rejected": "r", )";
  const PreferencePair pair =
      read(start + R"("weight": 0.25, "ref_chosen_logps": -1.5, "ref_rejected_logps": -2})").pairs[0];
  EXPECT_EQ(pair.weight, 0.25);
  EXPECT_EQ(pair.reference, (ReferenceLogProbs{.chosen = -1.5, .rejected = -2}));
  EXPECT_EQ(read(kGood).pairs[0].weight, 1);
  EXPECT_FALSE(read(kGood).pairs[0].reference);
  EXPECT_EQ(read(start + R"("weight": 1e-100})").pairs[0].weight, 1e-100);
  for (const std::string weight : {"0", "-1", "1e-101", "1e10"}) {
    EXPECT_THAT(refusal(start + R"("weight": )" + weight + "}"), HasSubstr("expected a number from 1e-100 to 1e9"));
  }
  EXPECT_THAT(refusal(start + R"("weight": "2"})"), HasSubstr("field \"weight\" is \"2\", expected a number"));
  EXPECT_THAT(refusal(start + R"("weight": null})"), HasSubstr("field \"weight\" is null"));
  EXPECT_THAT(refusal(start + R"("ref_chosen_logps": 0.5, "ref_rejected_logps": -2})"),
              HasSubstr("field \"ref_chosen_logps\" is 0.5, expected a log-probability, at most 0"));
  EXPECT_THAT(refusal(start + R"("ref_chosen_logps": -1})"), HasSubstr("field \"ref_rejected_logps\" is missing"));
}

TEST_F(PreferenceFile, KnownGroupsKeepTheirIds) {
  std::ofstream(file_) << with_group("\"new\"") << "\n" << with_group("\"old\"");
  const PreferenceData data = read_preference_file(file_, Rejected::kRequired, {"first", "old"});
  EXPECT_THAT(data.group_names, ElementsAre("first", "old", "new"));
  EXPECT_EQ(data.pairs[1].memberships[0].group, 1u);
}

TEST_F(PreferenceFile, AcceptsByteOrderMarkCarriageReturnsAndBlankLines) {
  const PreferenceData data = read("\xEF\xBB\xBF" + kGood + "\r\n\r\n" + kGood + "\r\n \t\n");
  EXPECT_EQ(data.pairs.size(), 2u);
}

TEST_F(PreferenceFile, RejectedMayBeAbsentOnlyWhereItIsOptional) {
  const std::string line = R"({"prompt": "p", "chosen": "c", "group": "g"})";
  EXPECT_EQ(read(line, Rejected::kOptional).pairs[0].rejected, "");
  EXPECT_EQ(
      refusal(line),
      "pairs.jsonl:1: field \"rejected\" is missing, expected text or messages; the line has \"prompt\", \"chosen\", "
      "\"group\"");
}

TEST_F(PreferenceFile, NamesLineFieldAndValueOfWhatIsWrong) {
  EXPECT_EQ(refusal(kGood + "\n\n" + with_group("\"\"")),
            "pairs.jsonl:3: field \"group\" is \"\", expected a name of 1 to 256 bytes without control characters");
  for (const std::string control : {"\\u001b", "\\u009b", "\xC2\x9B"}) {  // by JSON's escape, and as it is
    EXPECT_THAT(refusal(with_group("\"a" + control + "2J\"")), HasSubstr("without control characters")) << control;
  }
  EXPECT_EQ(refusal(R"({"prompt": 3, "chosen": "c", "rejected": "r"})"),
            "pairs.jsonl:1: field \"prompt\" is a number, expected text");
  EXPECT_EQ(refusal(R"({"prompt": "p", "chosen": ["c"], "rejected": "r"})"),
            "pairs.jsonl:1: field \"chosen\" is a list with \"c\", expected a list of messages {\"role\": ..., "
            "\"content\": ...}");
  EXPECT_EQ(refusal(R"({"prompt": "p", "accepted": "c", "rejected": "r"})"),
            "pairs.jsonl:1: field \"chosen\" is missing, expected text or messages; the line has \"prompt\", "
            "\"accepted\", \"rejected\"");
  EXPECT_EQ(refusal(R"({"prompt": "p", "prompt": "q", "chosen": "c", "rejected": "r"})"),
            "pairs.jsonl:1: field \"prompt\" is given twice");
  EXPECT_EQ(refusal("[1]"),
            "pairs.jsonl:1: the line is a list, expected an object {\"prompt\": ...} a line: jq -c '.[]' turns a list "
            "into lines");
}

TEST_F(PreferenceFile, SaysHowManyAgreeWhereNotAllDo) {
  const std::string start = R"({"prompt": "p", "chosen": "c", "rejected": "r", "chosen_share": )";
  EXPECT_EQ(read(kGood).pairs[0].chosen_share, 1);
  EXPECT_EQ(read(start + "0.625}").pairs[0].chosen_share, 0.625);
  EXPECT_EQ(read(start + "1}").pairs[0].chosen_share, 1);
  EXPECT_EQ(refusal(start + "0}"), "pairs.jsonl:1: field \"chosen_share\" is 0, expected a number in (0, 1]");
  EXPECT_THAT(refusal(start + "1.01}"), HasSubstr("is 1.01, expected a number in (0, 1]"));
  EXPECT_THAT(refusal(start + "\"1\"}"), HasSubstr("is \"1\", expected a number in (0, 1]"));
  EXPECT_THAT(refusal(start + R"(0.5, "chosen_share": 0.5})"), HasSubstr("\"chosen_share\" is given twice"));
}

TEST_F(PreferenceFile, RefusesGroupsThatAreNotGroups) {
  EXPECT_THAT(refusal(with_group("7.5")),
              HasSubstr("field \"group\" is the floating-point number 7.5, expected a name, a list"));
  EXPECT_THAT(refusal(with_group("null")), HasSubstr("is null"));
  EXPECT_THAT(refusal(with_group("[]")), HasSubstr("is empty, expected at least one group"));
  EXPECT_THAT(refusal(with_group("{}")), HasSubstr("is empty, expected at least one group"));
  EXPECT_THAT(refusal(with_group(R"(["a", "a"])")), HasSubstr("names \"a\" twice"));
  EXPECT_THAT(refusal(with_group(R"({"a": 1, "a": 1})")), HasSubstr("names \"a\" twice"));
  EXPECT_THAT(refusal(with_group(R"({"a": 0})")),
              HasSubstr("field \"group\" gives \"a\" the membership 0, expected a number from 1e-6 to 1"));
  EXPECT_THAT(refusal(with_group(R"({"a\nb": 2})")), HasSubstr("gives \"a\\x0ab\" the membership 2"));
  EXPECT_THAT(refusal(with_group(R"({"a": 1.5})")), HasSubstr("the membership 1.5"));
  EXPECT_THAT(refusal(with_group(R"({"a": "1"})")), HasSubstr("the membership \"1\""));
  EXPECT_THAT(refusal(with_group("\"a\\u0000b\"")), HasSubstr("control characters"));
  EXPECT_THAT(refusal(with_group('"' + std::string(257, 'g') + '"')), HasSubstr("256 bytes"));
}

// One of 1e-310 gave its group all weight in the first step: the mean of its loss was infinite.
TEST_F(PreferenceFile, RefusesAMembershipSoSmallThatMeansAreNoNumbers) {
  for (const std::string weight : {"1e-310", "5e-324", "1e-7", "9.99e-7", "-1"}) {
    EXPECT_THAT(refusal(kGood + "\n" + with_group(R"({"a": 1, "b": )" + weight + "}")),
                HasSubstr("pairs.jsonl:2: field \"group\" gives \"b\" the membership "))
        << weight;
  }
  EXPECT_EQ(read(with_group(R"({"a": 1e-6})")).pairs[0].memberships[0].weight, 1e-6);
}

TEST_F(PreferenceFile, RefusesWhatIsNotJsonOrNotUnicode) {
  EXPECT_THAT(refusal(kGood + "\n{\"prompt\": "), HasSubstr("pairs.jsonl:2: the line is not JSON"));
  EXPECT_THAT(refusal(kGood + " {}"), HasSubstr("pairs.jsonl:1: the line is not JSON"));
  EXPECT_THAT(refusal("{\"prompt\": \"\xC3\x28\"}"), HasSubstr("pairs.jsonl:1: the line is not UTF-8"));
  EXPECT_THAT(refusal(R"({"prompt": "a \ud83d", "chosen": "c", "rejected": "r"})"),
              HasSubstr("pairs.jsonl:1: field \"prompt\" holds \\ud83d, half of a surrogate pair"));
  EXPECT_THAT(refusal(R"({"prompt": "p", "chosen": "c", "rejected": "r", "group": {"\udc00": 1}})"),
              HasSubstr("field \"group\" holds \\udc00, half of a surrogate pair"));
  EXPECT_THAT(refusal(std::string(100000, '[')), HasSubstr("the line is not JSON"));
}

TEST_F(PreferenceFile, RefusesALineOverOneMebibyteWithoutReadingOn) {
  std::ofstream(file_) << kGood << "\n"
                       << R"({"prompt": ")";
  std::filesystem::resize_file(file_, std::uintmax_t{1} << 28);  // 256 MiB, sparse
  EXPECT_THAT([&] { read_preference_file(file_, Rejected::kRequired); },
              testing::ThrowsMessage<std::invalid_argument>(HasSubstr(":2: the line is longer than 1048576 bytes")));
}

TEST_F(PreferenceFile, AcceptsALineOfExactlyOneMebibyte) {
  const std::string fixed = R"({"prompt": "", "chosen": "c", "rejected": "r"})";
  const std::string text((1 << 20) - fixed.size(), 'x');
  EXPECT_EQ(read(R"({"prompt": ")" + text + R"(", "chosen": "c", "rejected": "r"})").pairs[0].prompt, text);
}

TEST_F(PreferenceFile, RefusesTheGroupThatIsOneTooMany) {
  std::string text;
  for (int i = 0; i <= 4096; ++i) text += with_group("\"g" + std::to_string(i) + "\"") + "\n";
  EXPECT_THAT(refusal(text),
              HasSubstr("pairs.jsonl:4097: field \"group\" is \"g4096\", which is one more than the 4096"));
}

TEST_F(PreferenceFile, RefusesWhatIsNoFileOrHoldsNoPairs) {
  EXPECT_EQ(refusal("\n\n"), "pairs.jsonl: holds no pairs, expected one a line");
  EXPECT_THROW(read_preference_file(folder_ / "absent.jsonl", Rejected::kRequired), std::invalid_argument);
  EXPECT_THROW(read_preference_file(folder_, Rejected::kRequired), std::invalid_argument);
  const std::filesystem::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(read_preference_file(pipe, Rejected::kRequired), std::invalid_argument);  // and does not wait for it
}

TEST_F(PreferenceFile, WhatIsWrittenReadsBackTheSame) {
  PreferenceData data;
  data.group_names = {"India", "Asia \"east\""};
  data.pairs = {
      {"q\n\t\"é\"", "A", "B", {{0, 1}}}, {"", "", "", {{0, 1}, {1, 1}}}, {"p", "c", "r", {{0, 0.1}, {1, 1}}, 1.0 / 3}};
  data.pairs[1].weight = 1.0 / 7;
  for (PreferencePair& pair : data.pairs) pair.reference = ReferenceLogProbs{.chosen = -1.0 / 3, .rejected = -1e-300};
  write_preference_file(data, file_);
  const PreferenceData back = read_preference_file(file_, Rejected::kRequired);
  EXPECT_EQ(back.group_names, data.group_names);
  ASSERT_EQ(back.pairs.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(back.pairs[i].rejected, data.pairs[i].rejected);
    EXPECT_EQ(back.pairs[i].weight, data.pairs[i].weight);
    EXPECT_EQ(back.pairs[i].reference, data.pairs[i].reference);
    // What one pair says all of them say.
    EXPECT_TRUE(back.pairs[i].says_share && back.pairs[i].says_weight);
  }
  EXPECT_EQ(back.pairs[0].prompt, data.pairs[0].prompt);
  EXPECT_EQ(back.pairs[2].memberships[0].weight, 0.1);
  EXPECT_EQ(back.pairs[2].chosen_share, 1.0 / 3);
}

TEST(PreferenceLine, HasTheFieldsInTheOrderOfTheFormat) {
  const std::vector<std::string> names = {"India", "Asia"};
  EXPECT_EQ(preference_line({"p", "c", "r", {{0, 1}}}, names),
            R"({"prompt":"p","chosen":"c","rejected":"r","group":"India"})");
  EXPECT_THAT(preference_line({"p", "c", "r", {{0, 1}, {1, 1}}}, names), HasSubstr(R"("group":["India","Asia"])"));
  EXPECT_THAT(preference_line({"p", "c", "r", {{1, 0.5}}}, names), HasSubstr(R"("group":{"Asia":0.5})"));
  EXPECT_EQ(preference_line({"p", "c", "r", {{0, 1}}, 0.75}, names),
            R"({"prompt":"p","chosen":"c","rejected":"r","group":"India","chosen_share":0.75})");
}

TEST_F(PreferenceFile, WritingABadPairLeavesTheOldFile) {
  std::ofstream(file_) << kGood;
  PreferenceData data;
  data.group_names = {"g"};
  data.pairs = {{"p", "c", "r", {{0, 1}}}, {"\xFF", "c", "r", {{0, 1}}}};
  EXPECT_THROW(write_preference_file(data, file_), std::invalid_argument);
  data.pairs = {{"p", "c", "r", {{0, 1}}, 1.5}};
  EXPECT_THROW(write_preference_file(data, file_), std::invalid_argument);
  data.pairs = {{"p", "c", "r", {{1, 1}}}};
  EXPECT_THROW(write_preference_file(data, file_), std::invalid_argument);
  EXPECT_EQ(read_preference_file(file_, Rejected::kRequired).group_names.at(0), "India");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

}  // namespace preference_reader_test
}  // namespace equipoise
