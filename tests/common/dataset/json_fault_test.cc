#include "common/dataset/json_fault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace equipoise {
namespace json_fault_test {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

std::string fault(const std::string& line) {
  simdjson::dom::parser parser;
  const auto problem = parser.parse(line).error();
  return problem == simdjson::SUCCESS ? "accepted" : json_fault(line, problem);
}

TEST(JsonFault, NamesTheNumbersThatJsonDoesNotHave) {
  EXPECT_EQ(
      fault(R"({"prompt": "NaN", "chosen_share": NaN})"),
      "the line is not JSON: field \"chosen_share\" is NaN, which JSON does not have, expected a number: leave the "
      "field or the row out");
  EXPECT_THAT(fault(R"({"weight": Infinity, "a": 1})"), HasSubstr("field \"weight\" is Infinity"));
  EXPECT_THAT(fault(R"({"weight": -Infinity})"), HasSubstr("field \"weight\" is Infinity"));
  EXPECT_THAT(fault(R"({"a": "\"x\": NaN", "b": [1, NaN]})"), HasSubstr("field \"b\" is NaN"));
}

TEST(JsonFault, KnowsPythonFromJson) {
  EXPECT_THAT(fault(R"({"group": None})"), AllOf(HasSubstr("field \"group\" is None"), HasSubstr("expected null")));
  EXPECT_THAT(fault(R"({"group": True})"), HasSubstr("expected true"));
  EXPECT_THAT(fault(R"({'prompt': 1})"), HasSubstr("texts are in single quotes"));
}

TEST(JsonFault, KnowsAListOrAnObjectOverSeveralLines) {
  EXPECT_THAT(fault("["), HasSubstr("a list begins here, expected one object {\"prompt\": ...} a line (JSONL): jq"));
  EXPECT_THAT(fault(R"([{"prompt": "p"},)"), HasSubstr("a list begins here"));
  EXPECT_THAT(fault("{"), HasSubstr("an object goes on over several lines"));
  EXPECT_THAT(fault(R"({"prompt": "p",)"), HasSubstr("an object goes on over several lines"));
}

TEST(JsonFault, KnowsOtherTextFromJson) {
  EXPECT_THAT(fault("prompt,chosen,rejected,group"), HasSubstr("it looks like the header of CSV"));
  EXPECT_THAT(fault("id;\"chosen\";x\r"), HasSubstr("it looks like the header of CSV"));
  EXPECT_THAT(fault("prompt\tchosen"), HasSubstr("it looks like the header of CSV"));
  EXPECT_THAT(fault("- prompt: p"), HasSubstr("it begins with \"- prompt: p\", expected one object"));
  EXPECT_THAT(fault(std::string("{\"a\"\0: 1}", 9)), HasSubstr("zero bytes"));
  EXPECT_THAT(fault("{\"a\": \"\xE9\"}"), HasSubstr("the line is not UTF-8"));
}

TEST(JsonFault, NamesHalfASurrogatePair) {
  const auto said = [](const std::string& line) { return json_fault(line, simdjson::STRING_ERROR); };
  EXPECT_EQ(said(R"({"prompt": "a \ud83d b"})"),
            "field \"prompt\" holds \\ud83d, half of a surrogate pair and so no character, expected both halves or the "
            "character itself");
  EXPECT_THAT(said(R"({"prompt": "\\ud83d", "chosen": "\ud83d\ude00 \udE00"})"),
              HasSubstr("field \"chosen\" holds \\ude00"));
  EXPECT_THAT(said(R"({"prompt": "\ud83d\u0041"})"), HasSubstr("field \"prompt\" holds \\ud83d"));
  EXPECT_THAT(said(R"({"prompt": "\ud8"})"), HasSubstr("the line is not JSON: "));
}

// They are JSON, and so is the line: "Problem while parsing a number" was said of them.
TEST(JsonFault, NamesANumberThatIsTooLarge) {
  EXPECT_EQ(fault(R"({"prompt": "p", "id": 123456789012345678901234, "a": 1})"),
            "field \"id\" is 123456789012345678901234, which a 64-bit integer cannot hold, expected a smaller number: "
            "write it as text");
  EXPECT_THAT(fault(R"({"id": -9223372036854775809})"), HasSubstr("field \"id\" is -9223372036854775809, which a 64"));
  EXPECT_THAT(fault(R"({"score": 1e400})"), HasSubstr("field \"score\" is 1e400, which a float64 cannot hold"));
  EXPECT_THAT(fault(R"({"score": [0.5, -1E+999]})"), HasSubstr("field \"score\" is -1E+999, which a float64"));
  EXPECT_THAT(fault("{\"id\": " + std::string(100, '7') + "}"), HasSubstr("is " + std::string(40, '7') + "..., which"));
  EXPECT_EQ(fault(R"({"a": 18446744073709551615, "b": -9223372036854775808, "c": 1e-400, "d": 1e308})"), "accepted");
  EXPECT_THAT(fault(R"({"a": 01})"), HasSubstr("the line is not JSON: "));
}

TEST(JsonFault, SaysWhereALineEndsTooSoon) {
  EXPECT_THAT(fault(R"({"prompt": "Is t)"), HasSubstr("it ends in the middle"));
  EXPECT_THAT(fault(R"({"prompt": "p", "group": "g")"), HasSubstr("it ends in the middle"));
  EXPECT_THAT(fault(R"({"a": 1,})"), HasSubstr("a comma stands before the end"));
}

const std::string kRow = R"({"prompt":"p","chosen":"c"})";

TEST(JsonFault, KnowsWhatStandsBesideAnObject) {
  const std::string start = "the line is not JSON: ",
                    wanted = ", expected one object {\"prompt\": ...} a line (JSONL): ";
  EXPECT_EQ(fault(kRow + ","), start + "a comma stands behind the object" + wanted +
                                   "sed 's/,[[:space:]]*$//' FILE > NEW removes such commas");
  for (const std::string between : {"", " ", "\t"}) {
    EXPECT_EQ(fault(kRow + between + kRow),
              start + "a second object begins behind the first" + wanted + "jq -c . FILE > NEW makes lines of them");
  }
  EXPECT_THAT(fault(kRow + ", " + kRow), HasSubstr("a comma and a second object stand behind the first"));
  EXPECT_THAT(fault("," + kRow), HasSubstr("a comma stands before the object"));
  for (const std::string& line : {std::string("]"), kRow + "]", kRow + ", ]", std::string("],")}) {
    EXPECT_THAT(fault(line), HasSubstr("a list ends here, expected one object")) << line;
  }
  EXPECT_THAT(fault(kRow + ";"), HasSubstr("\";\" stands behind the object"));
  EXPECT_THAT(fault(kRow + "}"), HasSubstr("\"}\" stands behind the object"));
  EXPECT_THAT(fault("[" + kRow + "],"), HasSubstr("a list begins here"));
  EXPECT_THAT(fault("\xEF\xBB\xBF\xEF\xBB\xBF" + kRow), HasSubstr("it begins with a byte order mark"));
}

TEST(JsonFault, KnowsTheLineEndsOfAnOldMac) {
  for (const std::string& line : {kRow + "\r" + kRow + "\r", kRow + "\r" + R"({"prompt": )", kRow + "\r\r" + kRow}) {
    EXPECT_EQ(
        fault(line),
        "the line is not JSON: lines end with a carriage return alone, expected a newline: tr '\\r' '\\n' < FILE > "
        "NEW makes lines of them");
  }
  EXPECT_EQ(fault(kRow + "\r"), "accepted");
}

TEST(JsonFault, SaysWhereAnObjectLeavesJson) {
  EXPECT_THAT(fault(R"({"prompt": "p" "chosen": "c"})"),
              HasSubstr(R"("chosen": "c"}" stands behind the value of field "prompt", expected a comma or the end)"));
  EXPECT_THAT(fault(R"({"prompt": "He said "hi" ok"})"), HasSubstr("a quote inside of a text is written \\\""));
  EXPECT_THAT(fault(R"({"prompt": "p", "chosen" "c"})"), HasSubstr("behind the key \"chosen\", expected a colon"));
  EXPECT_THAT(fault(R"({prompt: "p"})"),
              HasSubstr("stands where a key in double quotes is expected: write lines with"));
  EXPECT_THAT(fault(R"({"a": 1,, "b": 2})"), HasSubstr("stands where a key in double quotes is expected"));
  EXPECT_THAT(fault(R"({"a": , "b": 2})"), HasSubstr("field \"a\" has no value before"));
  EXPECT_THAT(fault(R"({"a": 'x'})"), HasSubstr("texts are in single quotes"));
  EXPECT_THAT(fault(R"({"a": undefined})"), HasSubstr("field \"a\" is undefined, which JSON does not have"));
  for (const std::string number : {"01", "+1", ".5", "1.", "0x10", "1e", "-", "1-2", "-true", "-null"}) {
    EXPECT_THAT(fault(R"({"a": )" + number + "}"), HasSubstr("field \"a\" is \"" + number + "\", which is no number"))
        << number;
  }
  EXPECT_THAT(fault("{\"a\": \"b\", // why\n"), HasSubstr("a comment stands in it"));
  EXPECT_THAT(fault("{\"a\": \"1\t2\"}"),
              HasSubstr("field \"a\" holds the control character \\u0009 itself, expected \\t"));
  EXPECT_THAT(fault("{\"a\": \"C:\\q\"}"), HasSubstr("field \"a\" holds \\q, which is no escape of JSON"));
  EXPECT_THAT(fault(R"({"a": [1, 2}, "b": 1})"), HasSubstr("stands behind the value of field \"a\""));
  EXPECT_THAT(fault(std::string(3000, '[')), HasSubstr("a list begins here"));
}

// What is said of a line is never the words that simdjson has for programmers.
TEST(JsonFault, FindsAPlaceInEveryLineThatSimdjsonRefuses) {
  const std::string row = R"({"prompt": "a \u00e9 b", "n": [1.5e3, -2, true, null], "g": {"x": 0.25}})";
  const std::string signs = "{}[]\",:\\ae0-.+x/'# ";
  for (std::size_t place = 0; place < row.size(); ++place) {
    for (const char sign : signs) {
      std::string changed = row, longer = row;
      changed[place] = sign;
      longer.insert(place, 1, sign);
      for (const std::string& line : {changed, longer, row.substr(0, place)}) {
        const std::string said = fault(line);
        EXPECT_THAT(said, Not(AnyOf(HasSubstr("JSON document"), HasSubstr("Problem while"), HasSubstr("Within"))))
            << line;
        EXPECT_EQ(said.find('\n'), std::string::npos);
      }
    }
  }
}

TEST(JsonFault, SaysSomethingOfAnyLine) {
  for (const std::string line : {"", "\"", "\"\\", "{\"", "{\"a\\", "}", "nan", "[NaN"}) {
    EXPECT_THAT(fault(line), HasSubstr("the line is not JSON: ")) << line;
  }
}

}  // namespace json_fault_test
}  // namespace equipoise
