#include "client/model/gemma_weights.h"

#include <functional>
#include <numeric>

#include "common/base/split_mix64.h"

namespace equipoise {
namespace {

struct TensorPlan {
  std::string name;
  std::vector<std::int64_t> shape;
  std::int64_t size() const {
    return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  }
};

std::vector<TensorPlan> plan(const ModelInitOptions& options, std::size_t vocab_size) {
  const std::int64_t hidden = options.hidden_size;
  const std::int64_t inner = options.intermediate_size;
  const std::int64_t queries = options.heads * options.head_dim;
  const std::int64_t keys = options.kv_heads * options.head_dim;
  std::vector<TensorPlan> tensors = {{"model.embed_tokens.weight", {static_cast<std::int64_t>(vocab_size), hidden}}};
  for (std::int64_t layer = 0; layer < options.layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    tensors.push_back({prefix + "input_layernorm.weight", {hidden}});
    tensors.push_back({prefix + "self_attn.q_proj.weight", {queries, hidden}});
    tensors.push_back({prefix + "self_attn.k_proj.weight", {keys, hidden}});
    tensors.push_back({prefix + "self_attn.v_proj.weight", {keys, hidden}});
    tensors.push_back({prefix + "self_attn.o_proj.weight", {hidden, queries}});
    tensors.push_back({prefix + "post_attention_layernorm.weight", {hidden}});
    tensors.push_back({prefix + "mlp.gate_proj.weight", {inner, hidden}});
    tensors.push_back({prefix + "mlp.up_proj.weight", {inner, hidden}});
    tensors.push_back({prefix + "mlp.down_proj.weight", {hidden, inner}});
  }
  tensors.push_back({"model.norm.weight", {hidden}});
  return tensors;
}

// Standard normal as the sum of 12 uniform numbers of 16 bits (Irwin-Hall): mean 0, variance 1 - 2^-32, within 6
// deviations. Whole numbers only, so that every machine draws the same bits; logarithm and cosine of another libm would
// not.
double draw_normal(SplitMix64& random) {
  constexpr std::int64_t kTwiceTheMean = 12 * 65535;
  std::int64_t sum = 0;
  for (int word = 0; word < 3; ++word) {
    const std::uint64_t bits = random.next();
    for (int shift = 0; shift < 64; shift += 16) sum += static_cast<std::int64_t>((bits >> shift) & 0xFFFF);
  }
  return static_cast<double>(2 * sum - kTwiceTheMean) / (2 * 65536.0);
}

}  // namespace

std::vector<NewTensor> draw_gemma_weights(const ModelInitOptions& options, std::size_t vocab_size) {
  SplitMix64 random(options.seed);
  std::vector<NewTensor> tensors;
  for (TensorPlan& planned : plan(options, vocab_size)) {
    std::vector<float> values(static_cast<std::size_t>(planned.size()), 0.F);
    const bool is_norm = planned.shape.size() == 1;
    if (!is_norm) {
      for (float& value : values) value = static_cast<float>(options.initializer_range * draw_normal(random));
    }
    tensors.push_back({std::move(planned.name), std::move(planned.shape), std::move(values)});
  }
  return tensors;
}

std::int64_t count_gemma_parameters(const ModelInitOptions& options, std::size_t vocab_size) {
  std::int64_t count = 0;
  for (const TensorPlan& planned : plan(options, vocab_size)) count += planned.size();
  return count;
}

}  // namespace equipoise
