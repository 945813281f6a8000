#include "coordinator/access/token_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "common/base/secret_file.h"
#include "common/base/service_access.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace token_file_test {

using ::testing::HasSubstr;

const std::string kDigits(64, 'a');
const std::string kOtherDigits(64, 'b');

TEST(ParseTokens, ReadsALineForEachToken) {
  const auto entries =
      parse_tokens("# who may call\n\n viewer\talice " + kDigits + "\r\nadmin bob@site-1 " + kOtherDigits);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].principal.name, "alice");
  EXPECT_EQ(entries[0].principal.role, Role::kViewer);
  EXPECT_EQ(entries[1].principal.name, "bob@site-1");
  EXPECT_EQ(entries[1].principal.role, Role::kAdmin);
}

TEST(ParseTokens, ANameMayHaveTwoTokensOfOneRole) {
  EXPECT_EQ(parse_tokens("viewer a " + kDigits + "\nviewer a " + kOtherDigits + "\n").size(), 2u);
}

TEST(ParseTokens, NamesTheLineThatIsWrongAndNeverWhatMayBeAToken) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"root alice " + kDigits, "line 1: the role is \"root\""},
      {"\nviewer al/ice " + kDigits, "line 2: the name is \"al/ice\""},
      {"viewer " + std::string(65, 'x') + " " + kDigits, "line 1: the name is"},
      {"viewer alice\x1b[2J " + kDigits, "line 1: the name is \"alice\\x1b[2J\""},
      {"viewer alice equipoise_0123456789", "line 1: expected ROLE NAME SHA256"},
      {"viewer alice", "line 1: expected ROLE NAME SHA256"},
      {"viewer alice " + kDigits + " more", "line 1: expected ROLE NAME SHA256"},
      {"viewer a " + kDigits + "\nadmin a " + kOtherDigits, "line 2: a is admin and viewer, expected one role"},
      {"viewer a " + kDigits + "\nviewer b " + kDigits, "line 2: the token of a is here again"},
      {"# nobody\n", "has no token"},
      {"", "has no token"},
  };
  for (const auto& [text, expected] : cases) {
    const std::string refusal = refusal_of([&] { parse_tokens(text); });
    EXPECT_THAT(refusal, HasSubstr(expected)) << text;
    EXPECT_EQ(refusal.find("0123456789"), std::string::npos);
  }
}

class TokenFileTest : public ::testing::Test {
 protected:
  void replace(const std::string& content) {
    std::filesystem::remove(folder_ / "next");
    write_secret_file(folder_ / "next", content);
    std::filesystem::rename(folder_ / "next", file_);
  }
  TempFolder folder_;
  const std::filesystem::path file_ = folder_ / "tokens";
  const std::string token_ = new_token(), other_ = new_token();
};

TEST_F(TokenFileTest, KnowsATokenByItsWholeTextAlone) {
  replace(token_line({.role = "operator", .name = "alice"}, token_));
  TokenFile tokens(file_);
  const auto caller = tokens.principal_of(token_);
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->name, "alice");
  EXPECT_EQ(caller->role, Role::kOperator);
  for (const std::string& wrong : {std::string(), token_.substr(1), token_ + " ", token_ + token_, other_}) {
    EXPECT_FALSE(tokens.principal_of(wrong)) << wrong;
  }
}

TEST_F(TokenFileTest, IsReadAgainWhereItHasChanged) {
  replace(token_line({.role = "viewer", .name = "alice"}, token_));
  TokenFile tokens(file_);
  replace(token_line({.role = "admin", .name = "alice"}, other_));
  EXPECT_FALSE(tokens.principal_of(token_)) << "it was taken away";
  ASSERT_TRUE(tokens.principal_of(other_));
  EXPECT_EQ(tokens.principal_of(other_)->role, Role::kAdmin);
}

TEST_F(TokenFileTest, OneThatIsWrongLaterChangesNothing) {
  replace(token_line({.role = "viewer", .name = "alice"}, token_));
  TokenFile tokens(file_);
  replace("viewer alice\n");
  EXPECT_TRUE(tokens.principal_of(token_));
  std::filesystem::remove(file_);
  EXPECT_TRUE(tokens.principal_of(token_));
  replace(token_line({.role = "viewer", .name = "alice"}, other_));
  EXPECT_FALSE(tokens.principal_of(token_));
  EXPECT_TRUE(tokens.principal_of(other_));
}

TEST_F(TokenFileTest, IsRefusedWhereOthersCanReadOrWriteIt) {
  replace(token_line({.role = "viewer", .name = "alice"}, token_));
  for (const mode_t mode : {0644u, 0620u, 0666u}) {
    ::chmod(file_.c_str(), mode);
    EXPECT_THAT(refusal_of([&] { TokenFile tokens(file_); }), HasSubstr("expected at most 0600")) << mode;
  }
}

}  // namespace token_file_test
}  // namespace equipoise::coordinator
