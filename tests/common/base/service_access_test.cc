#include "common/base/service_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "common/base/secret_file.h"
#include "common/base/sha256.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace service_access_test {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

TEST(ServiceAccess, WithoutFilesIsPlainAndNamesNobody) {
  const ServiceAccess access = read_service_access({});
  EXPECT_FALSE(access.has_tls());
  EXPECT_EQ(access.token, "");
  EXPECT_NO_THROW(check_token_stays_secret(access, "far.example:7443"));
}

TEST(ServiceAccess, ACertificateGoesWithItsKeyAndAnAuthority) {
  EXPECT_THAT(refusal_of([] { read_service_access({.tls_ca = "", .tls_cert = "c", .tls_key = "", .token_file = ""}); }),
              HasSubstr("--tls-cert and --tls-key go together"));
  EXPECT_THAT(
      refusal_of([] { read_service_access({.tls_ca = "", .tls_cert = "c", .tls_key = "k", .token_file = ""}); }),
      HasSubstr("--tls-cert needs --tls-ca"));
}

TEST(ServiceAccess, AFileThatHasNoCertificateIsNamed) {
  const TempFolder folder;
  const auto text = folder.write("ca.pem", "not a certificate");
  const auto torn = folder.write("torn.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  for (const auto& file : {text, torn}) {
    const std::string refusal = refusal_of(
        [&] { read_service_access({.tls_ca = file.string(), .tls_cert = "", .tls_key = "", .token_file = ""}); });
    EXPECT_THAT(refusal, StartsWith(file.string() + ": ")) << refusal;
    EXPECT_THAT(refusal, HasSubstr("expected certificates in PEM"));
  }
}

TEST(ServiceAccess, ATokenGoesOverTlsOrStaysHere) {
  ServiceAccess access;
  access.token = new_token();
  for (const char* const here : {"127.0.0.1:1", "localhost:1", "[::1]:1"}) {
    EXPECT_NO_THROW(check_token_stays_secret(access, here)) << here;
  }
  for (const char* const away : {"10.0.0.1:1", "host:1", "[fe80::1]:1", "127.evil.example:1"}) {
    const std::string refusal = refusal_of([&] { check_token_stays_secret(access, away); });
    EXPECT_THAT(refusal, HasSubstr("in plain text")) << away;
    EXPECT_EQ(refusal.find(access.token), std::string::npos);
  }
  access.ca = "a certificate";
  EXPECT_NO_THROW(check_token_stays_secret(access, "host:1"));
}

TEST(ServiceAccess, ATokenIsNewEachTimeAndItsLineHasTheDigestAlone) {
  const std::string token = new_token();
  EXPECT_THAT(token, MatchesRegex("equipoise_[0-9a-f]+"));
  EXPECT_EQ(token.size(), std::string("equipoise_").size() + 64);
  EXPECT_NE(new_token(), token);
  EXPECT_EQ(token_line({.role = "viewer", .name = "alice"}, token),
            "viewer alice " + hex_text(sha256_of(std::as_bytes(std::span(token)))) + "\n");
}

TEST(ServiceAccess, ATokenIsOneLineOfAFileOfItsOwnersAlone) {
  const TempFolder folder;
  const std::string token = new_token();
  write_secret_file(folder / "good", token + "\n");
  EXPECT_EQ(read_token(folder / "good"), token);
  write_secret_file(folder / "two", token + "\n" + token + "\n");
  write_secret_file(folder / "short", "abc\n");
  for (const char* const name : {"two", "short"}) {
    const std::string refusal = refusal_of([&] { read_token(folder / name); });
    EXPECT_THAT(refusal, HasSubstr("expected one line with a token"));
    EXPECT_EQ(refusal.find(token), std::string::npos);
  }
  ::chmod((folder / "good").c_str(), 0644);
  EXPECT_THAT(refusal_of([&] { read_token(folder / "good"); }), HasSubstr("expected at most 0600"));
}

}  // namespace service_access_test
}  // namespace equipoise
