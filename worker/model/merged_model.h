// A model and its LoRA adapter as one model: W + scaling B A in place of each adapted W; DoRA: its rows at their
// magnitudes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace equipoise {

// How near the merged model is to model and adapter: logits of a probe, a text of random tokens.
struct MergeReport {
  std::size_t projections = 0;
  std::string dtype;  // of the merged tensors, "BF16"
  std::int64_t probe_tokens = 0;
  double largest_logit = 0;
  double largest_difference = 0;
  double allowed_difference = 0;
};

// Writes the folder `target`: every tensor in the type that it has in `model`, computed in float32 (float64 where the
// model has any), all other tensors, config.json and the tokenizer's files as they are. Whole or not at all.
// Throws std::invalid_argument as Decoder::load and load_adapter, where `target` exists, and where the merged model's
// logits differ by more than a share of the largest one that rounding explains: 1e-9 (F64), 1e-4 (F32), 1e-2 (F16),
// 0.1 (BF16).
//   on_part  which part is being done, and how many percent of it are
MergeReport merge_adapter(const std::filesystem::path& model, const std::filesystem::path& adapter,
                          const std::filesystem::path& target,
                          const std::function<void(const std::string&, std::int64_t)>& on_part = {});

// "42 projections merged in float32, kept as BF16; on 64 random tokens ...".
std::string merge_text(const MergeReport& report);

}  // namespace equipoise
