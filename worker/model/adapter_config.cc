#include "worker/model/adapter_config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "common/base/message_text.h"
#include "common/huggingface/name_pattern.h"
#include "worker/data/json_file.h"
#include "worker/model/config_fields.h"

namespace equipoise {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kAllLinear = "all-linear";
constexpr const char* kMostRank = "an integer in [1, 65536]";
constexpr std::int64_t kMaxRank = 65536;

// A list of names, or a text: a regular expression, or the word for all of them.
void read_targets(const Json& object, ConfigFields& fields, LoraSettings& settings) {
  const auto given = object.find("target_modules");
  if (given != object.end() && given->is_string()) {
    const std::string text = *fields.text("target_modules");
    if (text.empty()) fields.refuse("target_modules", "names of modules");
    if (text != kAllLinear) settings.target_pattern = text;
    return;
  }
  settings.target_modules = fields.texts("target_modules").value_or(std::vector<std::string>());
  if (settings.target_modules.empty()) fields.refuse("target_modules", "names of modules");
}

double read_dropout(const Json& object, ConfigFields& fields) {
  fields.ignore({"lora_dropout"});
  const auto given = object.find("lora_dropout");
  if (given == object.end() || given->is_null()) return 0;
  const double share = given->is_number() ? given->get<double>() : -1;
  if (!(share >= 0 && share < 1)) fields.refuse("lora_dropout", "a number in [0, 1)");
  return share;
}

// How A and B once started says nothing about what they are now, unless the start changed the model as well.
void check_start(const Json& object, ConfigFields& fields) {
  const auto given = object.find("init_lora_weights");
  fields.ignore({"init_lora_weights"});
  if (given == object.end() || given->is_boolean() || given->is_null()) return;
  if (*given == "gaussian" || *given == "orthogonal") return;
  fields.refuse("init_lora_weights", "true, false, \"gaussian\" or \"orthogonal\": others change the model itself");
}

// PEFT keeps copies of the embedding and the head beside an adapter; whether they are the model's own is seen where the
// model is (Decoder::attach).
void check_saved_modules(const Json& object, ConfigFields& fields) {
  fields.ignore({"modules_to_save"});
  const auto given = object.find("modules_to_save");
  if (given == object.end() || given->is_null()) return;
  const auto fits = [](const Json& name) {
    if (!name.is_string()) return false;
    const auto text = name.get<std::string>();
    const std::string last = text.substr(text.rfind('.') + 1);
    return last == "embed_tokens" || last == "lm_head";
  };
  if (given->is_array() && std::ranges::all_of(*given, fits)) return;
  fields.refuse("modules_to_save", "null, or \"embed_tokens\" and \"lm_head\" as the model has them");
}

// What PEFT can merge into a model but is no A and B of whole projections alike.
void check_variants(const Json& object, ConfigFields& fields) {
  const std::string advice = "; or merge the adapter with PEFT (merge_and_unload) and give the merged model";
  const auto bias = object.find("bias");
  fields.ignore({"bias"});
  if (bias != object.end() && !bias->is_null() && *bias != "none") fields.refuse("bias", "\"none\"" + advice);
  for (const char* name : {"trainable_token_indices", "rank_pattern", "alpha_pattern", "layers_to_transform",
                           "layers_pattern", "exclude_modules", "target_parameters"}) {
    const auto given = object.find(name);
    const bool says_nothing = given == object.end() || given->is_null() || (given->is_structured() && given->empty());
    if (!says_nothing) fields.refuse(name, "null" + advice);
  }
}

void check_only_plain_lora(const Json& object, ConfigFields& fields) {
  if (fields.text("peft_type") != "LORA") fields.refuse("peft_type", "\"LORA\"");
  fields.only("task_type", "CAUSAL_LM");
  check_variants(object, fields);
  for (const char* switched_off : {"fan_in_fan_out", "use_qalora", "lora_bias", "ensure_weight_tying"}) {
    fields.only(switched_off, false);
  }
  check_start(object, fields);
  check_saved_modules(object, fields);
  fields.ignore({"auto_mapping", "base_model_name_or_path", "inference_mode", "megatron_core", "peft_version",
                 "qalora_group_size", "revision"});
  // rank_pattern: {} and the like say nothing.
  for (const auto& [name, value] : object.items()) {
    if (value.is_structured() && value.empty()) fields.ignore({name});
  }
  fields.refuse_rest();
}

Json number(double value) {
  constexpr double kExactIntegers = 9007199254740992;  // 2^53
  if (std::trunc(value) == value && std::abs(value) < kExactIntegers) return static_cast<std::int64_t>(value);
  return value;
}

}  // namespace

LoraSettings read_adapter_config(const std::filesystem::path& file) {
  const Json object = read_json_object(file);
  ConfigFields fields(file.string(), object);
  LoraSettings settings;
  settings.r = fields.size("r");
  if (settings.r > kMaxRank) fields.refuse("r", kMostRank);
  settings.alpha = fields.required_positive("lora_alpha");
  settings.dropout = read_dropout(object, fields);
  settings.rank_stabilized = fields.flag("use_rslora").value_or(false);
  settings.dora = fields.flag("use_dora").value_or(false);
  read_targets(object, fields, settings);
  check_only_plain_lora(object, fields);
  return settings;
}

std::string adapter_config_text(const LoraSettings& settings, const std::vector<std::string>& targets,
                                const std::filesystem::path& base_model) {
  Json object = {{"base_model_name_or_path", base_model.string()},
                 {"bias", "none"},
                 {"fan_in_fan_out", false},
                 {"inference_mode", true},
                 {"init_lora_weights", true},
                 {"lora_alpha", number(settings.alpha)},
                 {"lora_dropout", settings.dropout},
                 {"modules_to_save", nullptr},
                 {"peft_type", "LORA"},
                 {"r", settings.r},
                 {"target_modules", targets},
                 {"task_type", "CAUSAL_LM"},
                 {"use_dora", settings.dora},
                 {"use_rslora", settings.rank_stabilized}};
  if (settings.init == LoraInit::kGaussian) object["init_lora_weights"] = "gaussian";
  return object.dump(2) + "\n";
}

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
