// The small models of golden/lm, their data and the numbers that transformers and TRL computed with them.
#pragma once

#include <torch/types.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/huggingface/safetensors.h"
#include "tests/worker/support/owned_pair.h"
#include "worker/data/encoded_dataset.h"
#include "worker/data/packed_batch.h"
#include "worker/model/decoder.h"
#include "worker/model/tensor_bytes.h"

namespace equipoise {

inline constexpr char kPolicy[] = "golden/lm/models/gemma/policy";
inline constexpr char kReference[] = "golden/lm/models/gemma/reference";

inline constexpr const char* kGoldenFamilies[] = {"gemma", "llama", "qwen3"};

inline std::string policy_of(const std::string& family) { return "golden/lm/models/" + family + "/policy"; }
inline std::string reference_of(const std::string& family) { return "golden/lm/models/" + family + "/reference"; }

inline std::string lora_init_of(const std::string& family) { return "golden/lm/models/" + family + "/lora_init"; }

inline std::filesystem::path golden_file(const std::string& name, const std::string& family = "gemma") {
  return "golden/lm/golden/" + family + "/" + name;
}

inline nlohmann::json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot open " + path.string());
  return nlohmann::json::parse(file);
}

inline Decoder golden_decoder(const std::string& folder, torch::Dtype dtype = torch::kFloat32) {
  return Decoder::load(folder, dtype, torch::kCPU);
}

inline torch::Tensor golden_tensor(const SafetensorsFile& file, const std::string& name,
                                   torch::Dtype dtype = torch::kFloat32) {
  const TensorView* view = file.find(name);
  if (view == nullptr) throw std::runtime_error(file.path().string() + " has no " + name);
  return to_torch(*view, dtype, torch::kCPU);
}

// The 16 pairs of pairs.json, whose prompts include an empty answer, other scripts and long texts.
inline EncodedPairs golden_pairs(const std::string& family = "gemma") {
  std::vector<OwnedPair> pairs;
  const nlohmann::json golden = read_json(golden_file("pairs.json", family));
  for (const auto& pair : golden["pairs"]) {
    pairs.push_back({.prompt_ids = pair["prompt_ids"],
                     .chosen_ids = pair["chosen_ids"],
                     .rejected_ids = pair["rejected_ids"],
                     .memberships = {}});
  }
  return encoded(pairs);
}

inline std::vector<std::int64_t> all_of(const EncodedPairs& pairs) {
  std::vector<std::int64_t> indices(pairs.size());
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::int64_t>(i);
  return indices;
}

inline PackedBatch pack_all(const EncodedPairs& pairs) { return pack_pairs(pairs, all_of(pairs), torch::kCPU); }
inline PackedBatch pack_all(const std::vector<OwnedPair>& pairs) { return pack_all(encoded(pairs)); }

inline double largest_difference(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.numel() == 0) return 0;
  return (a.detach().to(torch::kFloat64) - b.detach().to(torch::kFloat64)).abs().max().item<double>();
}

}  // namespace equipoise
