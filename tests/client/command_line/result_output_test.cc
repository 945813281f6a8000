#include "client/command_line/result_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace equipoise {
namespace result_output_test {

using testing::HasSubstr;

// A verb with two rows.
struct Shown {
  std::string out, err;
  bool is_for_people = true;
};

Shown shown(std::vector<std::string> arguments, std::initializer_list<ResultFormat> further = {},
            OutputKind kind = OutputKind::kTerminal, TextFor text = TextFor::kPeople) {
  CLI::App verb("", "verb");
  ResultFlags flags;
  flags.add_to(verb, further);
  std::ostringstream out, err;
  const Console console{.out = out, .err = err, .kind = kind};
  std::ranges::reverse(arguments);
  verb.parse(arguments);
  flags.print(
      {.text = [] { return std::string("a  b\n"); },
       .wide = [] { return std::string("a  b  c\n"); },
       .json = [] { return std::string("{\"rows\": [1, 2.5]}\n"); },
       .names =
           [] {
             return std::vector<std::string>{"one", "two"};
           },
       .document = [](TableFormat format) { return std::string(format == TableFormat::kCsv ? "a,b\n" : "|\n"); }},
      console);
  flags.progress_console(console, text).out << "half way\n";
  return {out.str(), err.str(), flags.is_for_people()};
}

std::string refusal(const std::vector<std::string>& arguments) {
  try {
    return "accepted: " + shown(arguments).out;
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
}

TEST(ResultFlags, ShowTheFormThatIsAskedFor) {
  EXPECT_EQ(shown({}).out, "a  b\nhalf way\n");
  EXPECT_EQ(shown({"-o", "wide"}).out, "a  b  c\nhalf way\n");
  for (const std::vector<std::string>& asked : std::vector<std::vector<std::string>>{
           {"--json"}, {"-o", "json"}, {"-ojson"}, {"-o=json"}, {"--format", "json"}, {"--format=json"}}) {
    EXPECT_EQ(shown(asked).out, "{\"rows\": [1, 2.5]}\n") << asked.front();
  }
  EXPECT_EQ(shown({"-o", "yaml"}).out, "rows:\n- 1\n- 2.5\n");
  EXPECT_EQ(shown({"-o", "name"}, {ResultFormat::kName}).out, "one\ntwo\n");
  EXPECT_EQ(shown({"-o", "csv"}, {ResultFormat::kCsv}).out, "a,b\n");
}

TEST(ResultFlags, ProgressLeavesStandardOutputToWhatProgramsRead) {
  EXPECT_TRUE(shown({}).is_for_people);
  EXPECT_TRUE(shown({"-o", "wide"}).is_for_people);
  const Shown json = shown({"--json"});
  EXPECT_FALSE(json.is_for_people);
  EXPECT_EQ(json.err, "half way\n");
}

// id=$(equipoise jobs fork ...)
TEST(ResultFlags, ProgressIsInNoTextThatAScriptTakes) {
  const auto of = [](OutputKind kind, TextFor text) { return shown({}, {}, kind, text); };
  EXPECT_EQ(of(OutputKind::kPlain, TextFor::kScripts).out, "a  b\n");
  EXPECT_EQ(of(OutputKind::kPlain, TextFor::kScripts).err, "half way\n");
  EXPECT_EQ(of(OutputKind::kTerminal, TextFor::kScripts).out, "a  b\nhalf way\n");
  EXPECT_EQ(of(OutputKind::kPlain, TextFor::kPeople).out, "a  b\nhalf way\n");
}

TEST(ResultFlags, RefuseByNameWhatIsNotThere) {
  EXPECT_EQ(refusal({"-o", "tabel"}), "-o is \"tabel\", expected one of: text, wide, json, yaml");
  EXPECT_EQ(refusal({"-o", "name"}), "-o is \"name\", expected one of: text, wide, json, yaml") << "it has no names";
  EXPECT_EQ(refusal({"-o", "jsonpath={.rows[0]}"}),
            "-o is \"jsonpath={.rows[0]}\", expected one of: text, wide, json, yaml; `-o json | jq` picks out of it");
  EXPECT_THAT(refusal({"--json", "-o", "yaml"}), HasSubstr("xcludes"));
}

}  // namespace result_output_test
}  // namespace equipoise
