#include "common/ledger/step_bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "tests/support/refusal.h"

namespace equipoise {
namespace step_bytes_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<std::uint32_t> kGroups = {0, 7, 4294967295U};
const std::vector<double> kLosses = {-0.0, 5e-324, -1.7976931348623157e308};
const std::vector<double> kCounts = {3, 0.1, 4503599627370496.0};
const std::vector<std::uint32_t> kSkipped = {7};

std::string example_bytes() {
  std::string bytes;
  add_step_bytes(bytes, {.step = 1000000,
                         .group = kGroups,
                         .loss_sum = kLosses,
                         .pair_count = kCounts,
                         .batch_pairs = 64,
                         .skipped = kSkipped,
                         .weight = {}});
  return bytes;
}

TEST(StepBytes, ReadBackToTheSameBits) {
  const StoredStep step = step_of_bytes(example_bytes());
  EXPECT_EQ(step.step, 1000000);
  EXPECT_EQ(step.sums.group, kGroups);
  EXPECT_EQ(step.sums.loss_sum, kLosses);
  EXPECT_TRUE(std::signbit(step.sums.loss_sum[0]));
  EXPECT_EQ(step.sums.pair_count, kCounts);
  EXPECT_EQ(step.sums.batch_pairs, 64);
  EXPECT_THAT(step.skipped, ElementsAre(7));
}

TEST(StepBytes, AreFewForWholeCounts) {
  const std::vector<std::uint32_t> groups = {0, 1};
  const std::vector<double> losses = {1.25, 2.5}, counts = {2, 2};
  std::string bytes;
  add_step_bytes(bytes, {.step = 3,
                         .group = groups,
                         .loss_sum = losses,
                         .pair_count = counts,
                         .batch_pairs = 4,
                         .skipped = {},
                         .weight = {}});
  EXPECT_EQ(bytes.size(), 4 + 2 * 10);
}

TEST(StepBytes, EveryCutIsRefused) {
  const std::string bytes = example_bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_NE(refusal_of([&] { step_of_bytes(std::string_view(bytes).substr(0, size)); }), "accepted") << size;
  }
  EXPECT_THAT(refusal_of([&] { step_of_bytes(bytes + '\0'); }), HasSubstr("followed by further bytes"));
}

TEST(StepBytes, NumbersOfGroupsAskForNoMemory) {
  std::string bytes;
  add_varint(bytes, 1);
  add_varint(bytes, std::numeric_limits<std::uint64_t>::max());
  EXPECT_THAT(refusal_of([&] { step_of_bytes(bytes); }), HasSubstr("group has more groups than the record has bytes"));
}

TEST(Varint, TakesWhatWasAdded) {
  for (const std::uint64_t value :
       {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128}, std::numeric_limits<std::uint64_t>::max()}) {
    std::string bytes;
    add_varint(bytes, value);
    std::string_view left = bytes;
    EXPECT_EQ(take_varint(left), value);
    EXPECT_TRUE(left.empty());
  }
  std::string_view endless = "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80";
  EXPECT_EQ(take_varint(endless), std::nullopt);
}

}  // namespace step_bytes_test
}  // namespace equipoise
