#include <chrono>
#include <numeric>

#include "tests/gpu/check.h"

namespace equipoise::gpu_check {

Finding check_collective(const CheckDevice& device) {
  Finding finding;
  Collective& collective = device.collective();
  std::vector<double> values = {1.5, -2};
  collective.all_reduce_sum(values);
  finding.expect(values == std::vector<double>{1.5, -2}, "a sum over one rank changed its numbers");
  std::vector<std::byte> bytes = {std::byte{1}, std::byte{200}};
  collective.broadcast(bytes, 0);
  finding.expect(bytes[1] == std::byte{200}, "a broadcast of one rank changed its bytes");

  constexpr int kBuckets = 200;
  const std::int64_t elements = device.is_gpu() ? (25 << 20) / 4 : 1000;
  const torch::Tensor numbers = torch::arange(elements, torch::kFloat32).to(device.device());
  std::vector<torch::Tensor> buckets;
  for (int i = 0; i < kBuckets; ++i) buckets.push_back(numbers + i);
  device.synchronize();
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<PendingSum>> sums;
  for (const torch::Tensor& bucket : buckets) sums.push_back(collective.start_all_reduce_sum(bucket));
  for (const auto& sum : sums) sum->wait();
  device.synchronize();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (int i = 0; i < kBuckets; ++i) {
    finding.expect(buckets[static_cast<std::size_t>(i)].equal(numbers + i),
                   "bucket " + std::to_string(i) + " is not its own sum over one rank");
  }
  finding.numbers = {{"buckets", kBuckets}, {"bucket_bytes", 4 * elements}, {"microseconds", 1e6 * seconds / kBuckets}};
  finding.summary = short_number(1e6 * seconds / kBuckets) + " us a bucket";
  return finding;
}

}  // namespace equipoise::gpu_check
