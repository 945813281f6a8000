// Which layers see everything before a token and which a sliding window of it.
#pragma once

#include <vector>

#include "worker/model/config_fields.h"
#include "worker/model/decoder_config.h"

namespace equipoise {

// sliding_window; `fallback` if absent, none if null.
std::optional<std::int64_t> read_window(ConfigFields& fields, std::optional<std::int64_t> fallback);

// layer_types, or `by_default` where it is absent. kAsDefault: a family that has its layers otherwise, so that the
// list may be there but not differ.
enum class LayerTypes { kFree, kAsDefault };
std::vector<bool> read_sliding_layers(ConfigFields& fields, std::vector<bool> by_default, LayerTypes types);

// Fills config.kinds and config.kind_of_layer. Throws if a layer slides and there is no window.
void set_layer_kinds(const ConfigFields& fields, const std::vector<bool>& slides, std::optional<std::int64_t> window,
                     const RotaryTable& full, const RotaryTable& sliding, DecoderConfig& config);

// All layers alike.
void set_one_layer_kind(ConfigFields& fields, std::optional<std::int64_t> window, const RotaryTable& rotary,
                        DecoderConfig& config);

}  // namespace equipoise
