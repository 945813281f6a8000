#include "client/data/python_literal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace equipoise {
namespace python_literal_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

TEST(PythonLiteral, ReadsTextsInEitherQuote) {
  EXPECT_THAT(read_python_texts("['Yes', \"Don't know\", 'a \"b\"',]"), ElementsAre("Yes", "Don't know", "a \"b\""));
  EXPECT_THAT(read_python_texts(" [ ] "), IsEmpty());
}

TEST(PythonLiteral, TakesNumbersAsTheyAreWritten) {
  EXPECT_THAT(read_python_texts("[1, 2.50, -3, 1e-05]"), ElementsAre("1", "2.50", "-3", "1e-05"));
}

// repr("\\ ' \" \n \t \r \x00é€😀") of Python 3, once with characters and once with escapes.
TEST(PythonLiteral, KnowsTheEscapesOfRepr) {
  using std::string_literals::operator""s;
  EXPECT_THAT(read_python_texts(R"(['\\ \' " \n \t \r \x00\xe9\u20ac\U0001f600'])"),
              ElementsAre("\\ ' \" \n \t \r \0\u00e9\u20ac\U0001f600"s));
}

TEST(PythonLiteral, ReadsSharesOfADictionaryPlainOrDefault) {
  for (const std::string text : {"{'India': [0.25, 0.75], 'Japan': None, 'Chad': []}",
                                 "defaultdict(<class 'list'>, {'India': [0.25, 0.75], 'Japan': None, 'Chad': []})"}) {
    const PythonShares shares = read_python_shares(text);
    ASSERT_EQ(shares.size(), 3U) << text;
    EXPECT_EQ(shares[0].first, "India");
    EXPECT_THAT(*shares[0].second, ElementsAre(0.25, 0.75));
    EXPECT_FALSE(shares[1].second.has_value());
    EXPECT_THAT(*shares[2].second, IsEmpty());
  }
}

// Each would make a careless reader run on, evaluate something or accept half a value.
TEST(PythonLiteral, RefusesEverythingElseAndSaysWhere) {
  for (const auto& [text, wanted] :
       std::vector<std::pair<std::string, std::string>>{{"", "its end at character 1"},
                                                        {"['a'", "its end at character 5"},
                                                        {"['a' 'b']", "at character 6, expected \",\""},
                                                        {"['a'] + ['b']", "expected nothing more"},
                                                        {"[,]", "at character 2"},
                                                        {"['a", "expected the quote that ends the text"},
                                                        {"['a\nb']", "expected the quote that ends the text"},
                                                        {"['\\q']", "expected an escape"},
                                                        {"['\\x4']", "expected an escape"},
                                                        {"['\\ud800']", "expected an escape"},
                                                        {"['\\U00110000']", "expected an escape"},
                                                        {"['\\", "expected an escape"},
                                                        {"[__import__('os')]", "expected a text in quotes"},
                                                        {"[[1]]", "expected a text in quotes"},
                                                        {"[1-2]", "expected a number"},
                                                        {"[1e999]", "expected a number"},
                                                        {"('a',)", "expected \"[\""}}) {
    EXPECT_THAT([&] { read_python_texts(text); }, ThrowsMessage<std::invalid_argument>(HasSubstr(wanted))) << text;
  }
  for (const auto& [text, wanted] :
       std::vector<std::pair<std::string, std::string>>{{"{'a': [nan]}", "expected a number"},
                                                        {"{'a': [1], 'a': [2]}", "the key \"a\" twice"},
                                                        {"{'a': 1}", "expected \"[\""},
                                                        {"{'a' [1]}", "expected \":\""},
                                                        {"{1: [1]}", "expected a text in quotes"},
                                                        {"defaultdict(<class 'list'>, {'a': [1]}", "expected \")\""},
                                                        {"defaultdict(<class 'int'>, {})", "expected \"{\""}}) {
    EXPECT_THAT([&] { read_python_shares(text); }, ThrowsMessage<std::invalid_argument>(HasSubstr(wanted))) << text;
  }
}

}  // namespace python_literal_test
}  // namespace equipoise
