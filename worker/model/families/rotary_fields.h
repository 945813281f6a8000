// Rotary positions in config.json, in both layouts: rope_theta and rope_scaling beside the other fields (transformers
// 4), or all in rope_parameters (transformers 5).
#pragma once

#include "worker/model/config_fields.h"
#include "worker/model/decoder_config.h"

namespace equipoise {

// What a family adds to default, linear, dynamic and llama3 over whole heads: nothing, or Phi-3's default and longrope
// over a part of each head, partial_rotary_factor.
enum class RotaryKind { kWholeHead, kPhi3 };

// Throws for a rope_type outside the family's list, naming that list, and for a field that the type does not have.
RotaryTable read_rotary(ConfigFields& fields, std::int64_t head_dim, RotaryKind kind = RotaryKind::kWholeHead);

// Gemma 3: one table for full attention, one for sliding windows (rope_local_base_freq), which are never scaled.
struct RotaryTables {
  RotaryTable full, sliding;
};
RotaryTables read_rotary_by_layer_type(ConfigFields& fields, std::int64_t head_dim);

}  // namespace equipoise
