#include <ATen/DeviceAccelerator.h>

#include <cmath>
#include <cstdio>
#include <limits>

#include "tests/gpu/check.h"

namespace equipoise::gpu_check {

void CheckDevice::synchronize() const {
  if (is_gpu()) at::accelerator::synchronizeDevice(device().index());
}

void CheckDevice::reset_peak() const {
  if (!is_gpu()) return;
  // The allocator's numbers are there from the first tensor on.
  torch::empty({1}, device());
  at::accelerator::emptyCache();
  at::accelerator::resetPeakStats(device().index());
}

std::int64_t CheckDevice::peak_bytes() const {
  if (!is_gpu()) return 0;
  constexpr auto kAll = static_cast<std::size_t>(at::CachingAllocator::StatType::AGGREGATE);
  return at::accelerator::getDeviceStats(device().index()).allocated_bytes[kAll].peak;
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

double relative_difference(const torch::Tensor& a, const torch::Tensor& b) {
  const torch::Tensor ours = a.detach().to(torch::kCPU, torch::kFloat64);
  const torch::Tensor wanted = b.detach().to(torch::kCPU, torch::kFloat64);
  if (!torch::isfinite(ours).all().item<bool>()) return std::numeric_limits<double>::infinity();
  return (ours - wanted).abs().max().item<double>() / wanted.abs().max().item<double>();
}

}  // namespace equipoise::gpu_check
