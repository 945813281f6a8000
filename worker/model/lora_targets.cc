#include "worker/model/lora_targets.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "common/base/quoted_text.h"
#include "common/huggingface/name_pattern.h"

namespace equipoise {
namespace {

bool is_called(const std::string& module, const std::string& name) {
  return module == name || module.ends_with("." + name);
}

std::string list_of(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

[[noreturn]] void refuse_unmatched(const std::string& field, const std::string& text,
                                   const std::vector<LinearShape>& all) {
  throw std::invalid_argument(
      field + " has " + quoted_text(text) +
      ", expected what projections of the model's layers are called: " + list_of(last_names(all)));
}

std::vector<LinearShape> by_name(const std::vector<LinearShape>& all, const std::vector<std::string>& names,
                                 const std::string& field) {
  for (const std::string& name : names) {
    if (std::ranges::none_of(all, [&](const LinearShape& linear) { return is_called(linear.name, name); })) {
      refuse_unmatched(field, name, all);
    }
  }
  std::vector<LinearShape> chosen;
  for (const LinearShape& linear : all) {
    if (std::ranges::any_of(names, [&](const std::string& name) { return is_called(linear.name, name); })) {
      chosen.push_back(linear);
    }
  }
  return chosen;
}

std::vector<LinearShape> by_pattern(const std::vector<LinearShape>& all, const std::string& text,
                                    const std::string& field) {
  std::vector<std::string> names;
  for (const LinearShape& linear : all) names.push_back(linear.name);
  std::vector<bool> is_match;
  try {
    is_match = matches_whole(text, names);
  } catch (const std::invalid_argument& problem) {
    throw std::invalid_argument(field + " is " + quoted_text(text) + ", " + problem.what());
  }
  std::vector<LinearShape> chosen;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (is_match[i]) chosen.push_back(all[i]);
  }
  if (chosen.empty()) refuse_unmatched(field, text, all);
  return chosen;
}

std::string adapter_name(const LinearShape& linear) { return std::string(kPeftPrefix) + linear.name; }

}  // namespace

std::vector<LinearShape> projections(const DecoderConfig& config) {
  std::vector<LinearShape> all;
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const LayerLayout layer = layer_layout(config, i);
    all.insert(all.end(), layer.query_key_value.begin(), layer.query_key_value.end());
    all.push_back(layer.attention_output);
    all.insert(all.end(), layer.gate_up.begin(), layer.gate_up.end());
    all.push_back(layer.down);
  }
  return all;
}

std::vector<LinearShape> adapted_projections(const DecoderConfig& config, const LoraSettings& settings,
                                             const TargetFields& fields) {
  std::vector<LinearShape> all = projections(config);
  if (!settings.target_pattern.empty()) return by_pattern(all, settings.target_pattern, fields.pattern);
  if (!settings.target_modules.empty()) return by_name(all, settings.target_modules, fields.names);
  return all;
}

std::vector<LinearShape> projections_with_tensors(const DecoderConfig& config, const std::set<std::string>& tensors) {
  std::vector<LinearShape> chosen;
  for (const LinearShape& linear : projections(config)) {
    if (tensors.contains(adapter_name(linear) + ".lora_A.weight")) chosen.push_back(linear);
  }
  return chosen;
}

std::vector<ParameterShape> adapter_layout(const std::vector<LinearShape>& adapted, const LoraSettings& settings) {
  std::vector<ParameterShape> layout;
  for (const LinearShape& linear : adapted) {
    const std::string prefix = adapter_name(linear);
    layout.push_back({prefix + ".lora_A.weight", {settings.r, linear.inputs}});
    layout.push_back({prefix + ".lora_B.weight", {linear.outputs, settings.r}});
    if (settings.dora) layout.push_back({prefix + ".lora_magnitude_vector", {linear.outputs}});
  }
  return layout;
}

std::vector<std::string> last_names(const std::vector<LinearShape>& linears) {
  std::set<std::string> names;
  for (const LinearShape& linear : linears) names.insert(linear.name.substr(linear.name.rfind('.') + 1));
  return {names.begin(), names.end()};
}

}  // namespace equipoise
