#include "common/base/host_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace equipoise {
namespace host_port_test {

TEST(HostPort, IsANameAnIpv4AddressOrAnIpv6AddressInBrackets) {
  for (const char* host : {"localhost", "head.example.org", "10.0.0.2", "[::1]", "[fe80::1]"}) {
    const auto address = parse_host_port(std::string(host) + ":7443");
    ASSERT_TRUE(address) << host;
    EXPECT_EQ(address->host, host);
    EXPECT_EQ(address->port, 7443);
  }
}

TEST(HostPort, HasAPortOf0To65535) {
  EXPECT_EQ(parse_host_port("h:0")->port, 0);
  EXPECT_EQ(parse_host_port("h:65535")->port, 65535);
  for (const char* text : {"h:65536", "h:-1", "h:+1", "h:", "h:8x", "h: 80", "h:99999999999999999999"}) {
    EXPECT_FALSE(parse_host_port(text)) << text;
  }
}

TEST(HostPort, IsNothingElse) {
  for (const char* text :
       {"", ":", "h", ":80", "::1:80", "[]:80", "[::1:80", "http://h:80", "h h:80", "h\n:80", "h\xc3\xb6st:80"}) {
    EXPECT_FALSE(parse_host_port(text)) << text;
  }
}

TEST(CoordinatorAddress, NeedsAPortThatCanBeCalled) {
  EXPECT_NO_THROW(check_coordinator_address("head:7443"));
  try {
    check_coordinator_address("head:0");
    FAIL() << "port 0 was taken";
  } catch (const std::invalid_argument& refused) {
    EXPECT_THAT(refused.what(), testing::StartsWith("the coordinator's address is \"head:0\", expected HOST:PORT"));
  }
}

}  // namespace host_port_test
}  // namespace equipoise
