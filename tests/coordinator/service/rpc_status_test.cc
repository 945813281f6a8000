#include "coordinator/service/rpc_status.h"

#include <gtest/gtest.h>

#include <exception>
#include <stdexcept>
#include <string>

namespace equipoise::coordinator {
namespace rpc_status_test {

// gRPC gives up a call whose headers have more than a client takes, and the client learns nothing.
TEST(RpcStatus, ALongTextIsCutToWhatClientsTake) {
  const std::string text = "data.train: " + std::string(100'000, 'x');
  const grpc::Status status = status_of(std::make_exception_ptr(std::invalid_argument(text)));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), text.substr(0, 2048));
  EXPECT_LT(status.error_details().size(), 1024u);
}

TEST(RpcStatus, ATextThatIsNoUtf8OrHasLinesIsMadeOneLineOfUtf8) {
  const grpc::Status status = status_of(std::make_exception_ptr(std::invalid_argument("one\ntwo\xff")));
  EXPECT_EQ(status.error_message().find("one two"), 0u) << status.error_message();
  EXPECT_EQ(status.error_message().find('\xff'), std::string::npos);
}

}  // namespace rpc_status_test
}  // namespace equipoise::coordinator
