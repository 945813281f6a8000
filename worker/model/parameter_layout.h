// Names and shapes of a decoder's parameters, as Hugging Face writes them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/model/decoder_config.h"

namespace equipoise {

struct ParameterShape {
  std::string name;
  std::vector<std::int64_t> shape;
};

// Each trained tensor once, in the order of the forward pass. A tied head is the embedding.
std::vector<ParameterShape> parameter_layout(const DecoderConfig& config);

inline constexpr char kHeadName[] = "lm_head.weight";

// "model.layers.3."
std::string layer_prefix(std::int64_t layer);

}  // namespace equipoise
