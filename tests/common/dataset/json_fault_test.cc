#include "common/dataset/json_fault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace equipoise {
namespace json_fault_test {

using testing::AllOf;
using testing::HasSubstr;

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
  EXPECT_THAT(fault(R"({"a": 1} {})"), HasSubstr("the line is not JSON: "));
}

TEST(JsonFault, SaysSomethingOfAnyLine) {
  for (const std::string line : {"", "\"", "\"\\", "{\"", "{\"a\\", "}", "nan", "[NaN"}) {
    EXPECT_THAT(fault(line), HasSubstr("the line is not JSON: ")) << line;
  }
}

}  // namespace json_fault_test
}  // namespace equipoise
