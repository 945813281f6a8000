#include "worker/model/families/layer_types.h"

namespace equipoise {
namespace {

constexpr char kFull[] = "full_attention", kSliding[] = "sliding_attention";

}  // namespace

std::optional<std::int64_t> read_window(ConfigFields& fields, std::optional<std::int64_t> fallback) {
  const auto window = fields.optional_size("sliding_window");
  return window || fields.is_null("sliding_window") ? window : fallback;
}

std::vector<bool> read_sliding_layers(ConfigFields& fields, std::vector<bool> by_default, LayerTypes types) {
  const auto names = fields.texts("layer_types");
  if (!names) return by_default;
  std::vector<bool> slides;
  for (const std::string& name : *names) {
    if (name != kFull && name != kSliding) fields.refuse("layer_types", "full_attention and sliding_attention only");
    slides.push_back(name == kSliding);
  }
  if (slides.size() != by_default.size()) {
    fields.refuse("layer_types", "one for each of the " + std::to_string(by_default.size()) + " layers");
  }
  if (types == LayerTypes::kAsDefault && slides != by_default) {
    fields.refuse("layer_types", std::string("nothing or ") + (by_default.front() ? kSliding : kFull) +
                                     " for every layer: layers of this model_type are alike");
  }
  return slides;
}

void set_layer_kinds(const ConfigFields& fields, const std::vector<bool>& slides, std::optional<std::int64_t> window,
                     const RotaryTable& full, const RotaryTable& sliding, DecoderConfig& config) {
  std::optional<std::size_t> full_kind, sliding_kind;
  for (const bool is_sliding : slides) {
    if (is_sliding && !window) fields.refuse("sliding_window", "a whole number of 1 or more: some layers slide");
    auto& kind = is_sliding ? sliding_kind : full_kind;
    if (!kind) {
      kind = config.kinds.size();
      config.kinds.push_back({.window = is_sliding ? *window : 0, .rotary = is_sliding ? sliding : full});
    }
    config.kind_of_layer.push_back(*kind);
  }
}

void set_one_layer_kind(ConfigFields& fields, std::optional<std::int64_t> window, const RotaryTable& rotary,
                        DecoderConfig& config) {
  const std::vector<bool> alike(static_cast<std::size_t>(config.num_layers), window.has_value());
  set_layer_kinds(fields, read_sliding_layers(fields, alike, LayerTypes::kAsDefault), window, rotary, rotary, config);
}

}  // namespace equipoise
