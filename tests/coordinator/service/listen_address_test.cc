#include "coordinator/service/listen_address.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace equipoise::coordinator {
namespace listen_address_test {

TEST(ListenAddress, IsHostAndPort) {
  EXPECT_EQ(parse_listen_address("--listen", "[::1]:80").port, 80);
  for (const char* bad :
       {"", "host", "host:", ":80", "host:65536", "host:8x", "::1:80", "host:-1", "http://host:80", "ho st:80"}) {
    EXPECT_THROW(parse_listen_address("--listen", bad), std::invalid_argument) << bad;
  }
}

TEST(ListenAddress, OnlyLoopbackIsTakenWithoutTls) {
  for (const char* text : {"127.0.0.1:1", "localhost:1", "[::1]:1"}) {
    EXPECT_NO_THROW(check_loopback("--listen", parse_listen_address("--listen", text)));
  }
  for (const char* text : {"0.0.0.0:1", "[::]:1", "192.168.0.1:1", "example.org:1"}) {
    EXPECT_THROW(check_loopback("--listen", parse_listen_address("--listen", text)), std::invalid_argument);
  }
}

}  // namespace listen_address_test
}  // namespace equipoise::coordinator
