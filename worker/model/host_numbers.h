// Numbers that come from the device to the host together.
#pragma once

#include <torch/types.h>

#include <array>
#include <span>
#include <vector>

namespace equipoise {

// The numbers of each tensor, row after row, in one copy for all of them, for which it waits. The tensors are on one
// device, of any floating types and shapes; one that is undefined gives no numbers. Every number is exact.
//   tensors  [N]   values_N  [N]
void copy_to_host(std::span<const torch::Tensor> tensors, std::span<std::vector<double>> values_N);

// const auto [loss_B, reward_B] = on_host(std::array{loss, reward});
template <std::size_t N>
std::array<std::vector<double>, N> on_host(const std::array<torch::Tensor, N>& tensors) {
  std::array<std::vector<double>, N> values_N;
  copy_to_host(tensors, values_N);
  return values_N;
}

}  // namespace equipoise
