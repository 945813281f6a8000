#include "coordinator/job/page_token.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/refusal.h"

namespace equipoise::coordinator {
namespace page_token_test {

const PageTokens kTokens("a key of this database");

std::string refusal(const PageTokens& tokens, const std::string& list, const std::string& token) {
  return refusal_of([&] { tokens.position(list, token); });
}
const std::string kRefusal =
    "page_token is not one that this service gave for this list and filter; leave it empty to begin again";

TEST(PageTokens, GiveBackThePositionTheyWereMadeOf) {
  constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t position : {std::int64_t{0}, std::int64_t{1}, std::int64_t{4711}, kLast}) {
    EXPECT_EQ(kTokens.position("jobs", kTokens.make("jobs", position)), position);
  }
  EXPECT_EQ(kTokens.position("jobs", ""), std::nullopt);
}

TEST(PageTokens, RefuseATokenOfAnotherListOrDatabase) {
  const std::string token = kTokens.make("jobs", 17);
  EXPECT_EQ(refusal(kTokens, "jobs 2", token), kRefusal);
  EXPECT_EQ(refusal(kTokens, "weights job-1", token), kRefusal);
  EXPECT_EQ(refusal(PageTokens("another key"), "jobs", token), kRefusal);
}

// A position that somebody typed, a token cut short at any byte, and one with any byte changed.
TEST(PageTokens, RefuseWhatTheyDidNotMake) {
  const std::string token = kTokens.make("jobs", 0x1f);
  for (const std::string typed : {"1f", "-", "1f-", "zz-00", "99999999999999999999-00"}) {
    EXPECT_EQ(refusal(kTokens, "jobs", typed), kRefusal) << typed;
  }
  for (std::size_t i = 0; i < token.size(); ++i) {
    const std::string cut = token.substr(0, i);
    EXPECT_EQ(refusal(kTokens, "jobs", cut), cut.empty() ? "accepted" : kRefusal) << i;
    std::string changed = token;
    changed[i] = changed[i] == '0' ? '1' : '0';
    EXPECT_EQ(refusal(kTokens, "jobs", changed), kRefusal) << i;
  }
  EXPECT_EQ(refusal(kTokens, "jobs", token + "0"), kRefusal);
}

}  // namespace page_token_test
}  // namespace equipoise::coordinator
