#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/hostile_input.h"
#include "worker/model/decoder_config.h"

namespace equipoise {
namespace {

void check_rotary(const RotaryTable& table, std::int64_t head_dim) {
  promise(table.dim > 0 && table.dim % 2 == 0 && table.dim <= head_dim, "a rotary dimension is even and in the head");
  promise(table.divisor_F.empty() || table.divisor_F.size() * 2 == static_cast<std::size_t>(table.dim),
          "there is a divisor for each frequency");
  promise(table.theta > 0 && table.divisor > 0, "frequencies are finite");
}

void check(const DecoderConfig& config) {
  promise(config.vocab_size > 0 && config.hidden_size > 0 && config.intermediate_size > 0, "sizes are positive");
  promise(config.num_layers > 0 && config.num_heads > 0 && config.num_kv_heads > 0, "counts are positive");
  promise(config.num_heads % config.num_kv_heads == 0, "key heads divide the heads");
  promise(config.head_dim > 0 && config.head_dim % 2 == 0, "a head is even");
  promise(config.kind_of_layer.size() == static_cast<std::size_t>(config.num_layers), "each layer has a kind");
  for (const std::size_t kind : config.kind_of_layer) promise(kind < config.kinds.size(), "a layer's kind is there");
  for (const LayerKind& kind : config.kinds) {
    promise(kind.window >= 0, "a window is not negative");
    check_rotary(kind.rotary, config.head_dim);
  }
}

}  // namespace

bool fuzz_model_config(std::span<const std::uint8_t> input) {
  const MemoryFile file(input);
  return accepts([&] { check(read_decoder_config(file.path())); });
}

}  // namespace equipoise
