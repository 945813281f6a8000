#include "coordinator/job/page_token.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace equipoise::coordinator {
namespace page_token_test {

const PageTokens kTokens("a key of this service");

TEST(PageTokens, GiveBackThePositionTheyWereMadeFor) {
  for (const std::int64_t position :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{4096}, std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_EQ(kTokens.position("jobs", kTokens.make("jobs", position)), position);
  }
}

TEST(PageTokens, TheEmptyTokenIsTheBeginning) { EXPECT_EQ(kTokens.position("jobs", ""), std::nullopt); }

TEST(PageTokens, OneOfAnotherListOrAnotherServiceIsRefused) {
  const std::string token = kTokens.make("jobs", 20);
  EXPECT_THROW(kTokens.position("jobs state=RUNNING", token), std::invalid_argument);
  EXPECT_THROW(PageTokens("another key").position("jobs", token), std::invalid_argument);
  // The end of a list's name is no part of the position.
  EXPECT_THROW(kTokens.position("jobs2", kTokens.make("jobs", 0x20)), std::invalid_argument);
}

TEST(PageTokens, OneThatIsChangedInAnyCharacterIsRefused) {
  const std::string token = kTokens.make("jobs", 0x20);
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == '1' ? '2' : '1';
    EXPECT_THROW(kTokens.position("jobs", changed), std::invalid_argument) << changed;
    EXPECT_THROW(kTokens.position("jobs", token.substr(0, i) + token.substr(i + 1)), std::invalid_argument) << i;
  }
  for (const std::string& other : {token + "0", token + std::string(1, '\0'), "0" + token, " " + token}) {
    EXPECT_THROW(kTokens.position("jobs", other), std::invalid_argument) << other;
  }
}

TEST(PageTokens, WhatIsNoTokenIsRefusedWithTheNextMove) {
  for (const std::string& text : {std::string("-"), std::string("20"), std::string("20-"), std::string("zz-0123"),
                                  std::string(100'000, 'f'), std::string("\xff\xfe-\0", 4)}) {
    try {
      kTokens.position("jobs", text);
      FAIL() << text;
    } catch (const std::invalid_argument& refused) {
      EXPECT_STREQ(
          refused.what(),
          "page_token is not one that this service gave for this list and filter; leave it empty to begin again");
    }
  }
}

}  // namespace page_token_test
}  // namespace equipoise::coordinator
