#include "common/protocol/error_reason.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace equipoise {
namespace error_reason_test {

using namespace std::chrono_literals;

// Field `number` of length-delimited type, shorter than 128 bytes.
std::string field(int number, const std::string& value) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(value.size())} + value;
}

std::string detail(const std::string& type, const std::string& reason, const std::string& domain) {
  return field(3, field(1, type) + field(2, field(1, reason) + field(2, domain)));
}

const std::string kInfo = "type.googleapis.com/google.rpc.ErrorInfo";

// Written out by the field numbers of google/rpc/status.proto and error_details.proto: what other programs read.
TEST(ErrorReason, HasTheBytesOfGoogleRpc) {
  const std::string code = {'\x08', '\x08'};
  EXPECT_EQ(error_details({.code = 8, .message = "the disk is full"}, ErrorReason::kStateNotStored),
            code + field(2, "the disk is full") + detail(kInfo, "STATE_NOT_STORED", "equipoise.v1"));
}

TEST(ErrorReason, AWrongFieldAndATimeHaveTheBytesOfGoogleRpcToo) {
  const std::string details = error_details({.code = 3, .message = "no", .field = "spec.name", .retry_after = 1500ms},
                                            ErrorReason::kInvalidArgument);
  const std::string code = {'\x08', '\x03'},
                    duration = {'\x08', '\x01', '\x10', '\x80', '\xca', '\xb5', '\xee', '\x01'};
  EXPECT_EQ(details, code + field(2, "no") + detail(kInfo, "INVALID_ARGUMENT", "equipoise.v1") +
                         field(3, field(1, "type.googleapis.com/google.rpc.BadRequest") +
                                      field(2, field(1, field(1, "spec.name") + field(2, "no")))) +
                         field(3, field(1, "type.googleapis.com/google.rpc.RetryInfo") + field(2, field(1, duration))));
  EXPECT_EQ(field_in(details), "spec.name");
  EXPECT_EQ(retry_after_in(details), 1500ms);
  EXPECT_EQ(reason_in(details), ErrorReason::kInvalidArgument);
  const std::string without = error_details({.code = 3, .message = "no"}, ErrorReason::kInvalidArgument);
  EXPECT_EQ(field_in(without), "");
  EXPECT_EQ(retry_after_in(without), std::nullopt);
}

TEST(ErrorReason, EachIsReadAsItWasWrittenAndHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int value = 0; value <= static_cast<int>(ErrorReason::kInternal); ++value) {
    const auto reason = static_cast<ErrorReason>(value);
    EXPECT_TRUE(names.insert(reason_name(reason)).second) << reason_name(reason);
    EXPECT_EQ(reason_in(error_details({.code = 9, .message = "m"}, reason)), reason) << reason_name(reason);
  }
}

TEST(ErrorReason, OfAnotherServiceOrALaterVersionIsNone) {
  EXPECT_EQ(reason_in(""), std::nullopt);
  EXPECT_EQ(reason_in("\xff\xff no message"), std::nullopt);
  EXPECT_EQ(reason_in(detail(kInfo, "STATE_NOT_STORED", "example.com")), std::nullopt);
  EXPECT_EQ(reason_in(detail(kInfo, "OF_A_LATER_VERSION", "equipoise.v1")), std::nullopt);
  EXPECT_EQ(reason_in(detail("type.googleapis.com/google.rpc.Help", "STATE_NOT_STORED", "equipoise.v1")), std::nullopt);
}

TEST(ErrorReason, IsFoundBehindDetailsOfOtherTypes) {
  const std::string other = detail("type.googleapis.com/google.rpc.RetryInfo", "", "");
  EXPECT_EQ(reason_in(other + detail(kInfo, "JOB_ENDED", "equipoise.v1")), ErrorReason::kJobEnded);
}

}  // namespace error_reason_test
}  // namespace equipoise
