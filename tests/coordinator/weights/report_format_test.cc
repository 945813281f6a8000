#include "coordinator/weights/report_format.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "tests/coordinator/support/requests.h"

namespace equipoise::coordinator {
namespace report_format_test {

v1::ReportStepRequest without_key(v1::ReportStepRequest request) {
  request.clear_job_id();
  request.clear_generation();
  request.clear_step();
  return request;
}

void expect_comes_back(const v1::ReportStepRequest& request) {
  const auto read = decoded_report(encoded_report(request));
  ASSERT_TRUE(read) << request.ShortDebugString();
  EXPECT_EQ(read->SerializeAsString(), without_key(request).SerializeAsString());
}

TEST(ReportFormat, EveryNumberComesBackBitForBit) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 2'000; ++i) {
    v1::ReportStepRequest request;
    std::uint32_t group = static_cast<std::uint32_t>(random() % 3);
    for (std::uint64_t groups = random() % 5; groups > 0; --groups) {
      request.add_group(group);
      request.add_loss_sum(std::bit_cast<double>(random()));
      request.add_pair_count(random() % 2 == 0 ? static_cast<double>(random() % 100) : std::bit_cast<double>(random()));
      if (random() % 4 == 0) request.add_non_finite_group(group);
      group += 1 + static_cast<std::uint32_t>(random() % 1'000'000);
    }
    request.set_batch_pairs(static_cast<double>(random() % 1'000) / 4);
    expect_comes_back(request);
  }
}

TEST(ReportFormat, NumbersAtTheEdgesComeBack) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double number : {0.0, -0.0, 1.0, 0.5, -1.0, 5e-324, 4503599627370495.0, 4503599627370496.0, 1.7e308,
                              infinity, -infinity, std::nan("")}) {
    v1::ReportStepRequest request;
    request.add_group(std::numeric_limits<std::uint32_t>::max());
    request.add_loss_sum(number);
    request.add_pair_count(number);
    request.set_batch_pairs(number);
    expect_comes_back(request);
  }
  expect_comes_back({});
}

TEST(ReportFormat, TakesTenBytesForAGroupWithWholePairs) {
  const auto one = encoded_report(step_request("j", 1, 7, {0.1})),
             three = encoded_report(step_request("j", 1, 7, {0.1, 0.2, 0.3}));
  EXPECT_EQ(three.size() - one.size(), 2u * 10u);
}

TEST(ReportFormat, WhatIsCutOffOrGoesOnIsNone) {
  const std::string whole = encoded_report(step_request("j", 1, 7, {0.1, 0.2}));
  for (std::size_t length = 0; length < whole.size(); ++length) EXPECT_FALSE(decoded_report(whole.substr(0, length)));
  EXPECT_FALSE(decoded_report(whole + '\0'));
}

// Whatever lies on the disk: nothing is read beyond it, and no memory is asked for that it cannot fill.
TEST(ReportFormat, AnyBytesAreReadOrRefused) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 40, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % 3 == 0 ? random() : random() % 4);
    const auto read = decoded_report(bytes);
    if (!read) continue;
    EXPECT_LE(read->group_size() + read->non_finite_group_size(), static_cast<int>(bytes.size()));
  }
  EXPECT_FALSE(decoded_report("\xff\xff\xff\xff\xff\xff\xff\xff\x7f"));
}

}  // namespace report_format_test
}  // namespace equipoise::coordinator
