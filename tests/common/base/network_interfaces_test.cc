#include "common/base/network_interfaces.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace network_interfaces_test {

TEST(NetworkInterfaces, AreNamedWithTheirAddressesOnOneLine) {
  const std::string text = network_interfaces_text();
  EXPECT_FALSE(text.empty());
  EXPECT_EQ(text.find("127.0.0.1"), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_NE(text.find(' '), std::string::npos) << "NAME ADDRESS, or a sentence: " << text;
}

}  // namespace network_interfaces_test
}  // namespace equipoise
