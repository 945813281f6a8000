#include "common/http/http_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace equipoise {
namespace http_address_test {

using ::testing::HasSubstr;
using ::testing::Not;

std::string refusal_of(const std::string& text) {
  try {
    parse_http_address("--webhook", text);
  } catch (const std::invalid_argument& wrong) {
    return wrong.what();
  }
  return "";
}

TEST(HttpAddress, HasItsPartsAndThePortOfItsScheme) {
  const HttpAddress https = parse_http_address("--webhook", "https://hooks.example.org/a/b?key=1%202&x");
  EXPECT_TRUE(https.is_https);
  EXPECT_EQ(https.host, "hooks.example.org");
  EXPECT_EQ(https.port, 443);
  EXPECT_EQ(https.target, "/a/b?key=1%202&x");
  EXPECT_EQ(https.origin(), "https://hooks.example.org:443");
  const HttpAddress http = parse_http_address("--webhook", "http://127.0.0.1:8080");
  EXPECT_FALSE(http.is_https);
  EXPECT_EQ(http.port, 8080);
  EXPECT_EQ(http.target, "/");
  EXPECT_EQ(parse_http_address("--webhook", "http://host?q").target, "/?q");
  EXPECT_EQ(parse_http_address("--webhook", "http://[::1]:8080/").host, "::1");
  EXPECT_EQ(parse_http_address("--webhook", "http://[::1]:8080/").origin(), "http://[::1]:8080");
}

TEST(HttpAddress, OfAnotherFormIsRefusedWithWhatIsExpected) {
  EXPECT_THAT(refusal_of("ftp://host/"), HasSubstr("begins with https:// or http://"));
  EXPECT_THAT(refusal_of("hooks.example.org/x"), HasSubstr("begins with https:// or http://"));
  EXPECT_THAT(refusal_of(""), HasSubstr("begins with https:// or http://"));
  EXPECT_THAT(refusal_of("http:///path"), HasSubstr("expected a host"));
  EXPECT_THAT(refusal_of("http://host:0/"), HasSubstr("a port from 1 to 65535"));
  EXPECT_THAT(refusal_of("http://host:65536/"), HasSubstr("a port from 1 to 65535"));
  EXPECT_THAT(refusal_of("http://host:/"), HasSubstr("a port from 1 to 65535"));
  EXPECT_THAT(refusal_of("http://host:80x/"), HasSubstr("a port from 1 to 65535"));
  EXPECT_THAT(refusal_of("http://[::1/"), HasSubstr("a ] behind the IPv6 address"));
  EXPECT_THAT(refusal_of("http://[::1]x/"), HasSubstr(":PORT or nothing"));
  EXPECT_THAT(refusal_of("http://ho$t/"), HasSubstr("expected a host"));
  EXPECT_THAT(refusal_of("http://host/#part"), HasSubstr("without a fragment"));
  EXPECT_THAT(refusal_of("http://host/" + std::string(3000, 'x')), HasSubstr("at most 2048"));
}

// Each of these would end the line of the request, or begin another one.
TEST(HttpAddress, WithACharacterThatIsNoUrlsIsRefused) {
  for (const std::string bad : {"\r\nHost: other", "\n", " ", "\t", "\x01", "\x7f", "\xc3\xa9"}) {
    EXPECT_THAT(refusal_of("http://host/a" + bad), HasSubstr("are escaped (%20)")) << bad;
  }
}

// Logs are read by others than those who know the address.
TEST(HttpAddress, ARefusalDoesNotShowWhatMayBeASecret) {
  for (const std::string address :
       {"http://user:hunter2@host/", "http://host:0/hunter2", "http://host/hunter2#x", "http://host/?key=hunter2 x"}) {
    EXPECT_THAT(refusal_of(address), HasSubstr("expected"));
    EXPECT_THAT(refusal_of(address), Not(HasSubstr("hunter2")));
  }
}

}  // namespace http_address_test
}  // namespace equipoise
