// Folders of models with random weights, of any shape, and random texts for them.
#pragma once

#include <torch/types.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/huggingface/safetensors.h"
#include "tests/support/temp_folder.h"
#include "worker/model/tensor_bytes.h"
#include "worker/model/weight_files.h"

namespace equipoise {

// Large enough that attention is far from uniform and soft-caps bend.
inline void write_random_model(const TempFolder& folder, const nlohmann::json& config) {
  folder.write("config.json", config.dump());
  torch::manual_seed(1);
  std::vector<torch::Tensor> tensors;
  std::vector<TensorView> views;
  for (const auto& [name, shape] : parameter_layout(read_decoder_config(folder / "config.json"))) {
    tensors.push_back(torch::randn(shape) * 0.3 + (name.ends_with("norm.weight") ? 0.8 : 0.0));
    views.push_back(view_of(name, tensors.back()));
  }
  write_safetensors(folder / "model.safetensors", views, {{"format", "pt"}});
}

// Of the vocabulary of tiny_config().
inline std::vector<std::int32_t> random_ids(std::int64_t count) {
  const torch::Tensor ids = torch::randint(64, {count}, torch::kInt32);
  return {ids.data_ptr<std::int32_t>(), ids.data_ptr<std::int32_t>() + count};
}

// In bfloat16, of any size: every tensor begins somewhere in the same random numbers, of deviation 0.02; norms are 1.
inline void write_large_model(const TempFolder& folder, const nlohmann::json& config) {
  folder.write("config.json", config.dump());
  const auto layout = parameter_layout(read_decoder_config(folder / "config.json"));
  constexpr std::int64_t kPeriod = 1 << 20;
  std::int64_t longest = 0;
  for (const auto& parameter : layout) longest = std::max(longest, c10::multiply_integers(parameter.shape));
  torch::manual_seed(1);
  const torch::Tensor numbers = torch::randn({kPeriod}).mul_(0.02).to(torch::kBFloat16).repeat({longest / kPeriod + 2});
  std::vector<torch::Tensor> tensors;
  std::vector<TensorView> views;
  std::int64_t offset = 0;
  for (const auto& [name, shape] : layout) {
    const bool is_norm = name.ends_with("norm.weight");
    offset = (offset + 7919) % kPeriod;
    tensors.push_back(is_norm ? torch::ones(shape, torch::kBFloat16)
                              : numbers.narrow(0, offset, c10::multiply_integers(shape)).view(shape));
    views.push_back(view_of(name, tensors.back()));
  }
  write_safetensors(folder / "model.safetensors", views, {{"format", "pt"}});
}

}  // namespace equipoise
