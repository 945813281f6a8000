#include "common/config/model_config.h"

#include <algorithm>

#include "common/base/message_text.h"
#include "common/config/field_check.h"
#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

static_assert(same_enums<v1::DType, DType>(v1::DType_MAX, {{v1::D_TYPE_FLOAT32, DType::kFloat32},
                                                           {v1::D_TYPE_FLOAT64, DType::kFloat64},
                                                           {v1::D_TYPE_BFLOAT16, DType::kBFloat16}}));
static_assert(same_enums<v1::Quantization, Quantization>(v1::Quantization_MAX,
                                                         {{v1::QUANTIZATION_NONE, Quantization::kNone},
                                                          {v1::QUANTIZATION_NF4, Quantization::kNf4}}));
static_assert(same_enums<v1::LoraInit, LoraInit>(v1::LoraInit_MAX,
                                                 {{v1::LORA_INIT_KAIMING_UNIFORM, LoraInit::kKaimingUniform},
                                                  {v1::LORA_INIT_GAUSSIAN, LoraInit::kGaussian}}));

namespace {

constexpr const char* kAllLinear = "all-linear";
constexpr std::int64_t kMaxRank = 65536;

std::vector<std::string> target_modules(const v1::LoraSpec& spec) {
  std::vector<std::string> names(spec.target_modules().begin(), spec.target_modules().end());
  if (names.size() == 1 && names.front() == kAllLinear) return {};
  for (const std::string& name : names) {
    if (name.empty() || name == kAllLinear) {
      refuse_field("model.lora.target_modules", quoted_text(name),
                   "names of modules such as q_proj, or all-linear alone");
    }
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

bool is_dropout_alone(const v1::LoraSpec& spec) {
  v1::LoraSpec others = spec;
  others.clear_dropout();
  return spec.has_dropout() && others.ByteSizeLong() == 0;
}

void resolve_lora(const LoraSettings& settings, v1::LoraSpec& spec) {
  spec.set_r(static_cast<std::int32_t>(settings.r));
  spec.set_alpha(settings.alpha);
  spec.set_dropout(settings.dropout);
  spec.set_rank_stabilized(settings.rank_stabilized);
  if (settings.target_pattern.empty()) {
    const std::vector<std::string> all{kAllLinear};
    const auto& names = settings.target_modules.empty() ? all : settings.target_modules;
    spec.mutable_target_modules()->Assign(names.begin(), names.end());
  }
  spec.set_init(message_enum<v1::LoraInit>(settings.init));
  spec.set_use_dora(settings.dora);
}

}  // namespace

LoraSettings lora_settings(const v1::LoraSpec& spec) {
  LoraSettings settings;
  if (spec.has_r()) settings.r = checked_integer("model.lora.r", spec.r(), {1, kMaxRank});
  if (spec.has_alpha()) settings.alpha = checked_real("model.lora.alpha", spec.alpha(), kPositive);
  if (spec.has_dropout()) settings.dropout = checked_real("model.lora.dropout", spec.dropout(), {.highest = 1});
  settings.rank_stabilized = spec.rank_stabilized();
  settings.target_modules = target_modules(spec);
  if (spec.has_target_pattern()) {
    if (spec.target_modules_size() > 0) {
      refuse_combination("model.lora has both target_modules and target_pattern; remove one of them");
    }
    if (spec.target_pattern().empty()) refuse_field("model.lora.target_pattern", "empty", "a regular expression");
    settings.target_pattern = spec.target_pattern();
  }
  set_enum(settings.init, "model.lora.init", spec.init(), v1::LoraInit_descriptor());
  settings.dora = spec.use_dora();
  return settings;
}

ModelConfig model_config(const v1::ModelSpec& spec) {
  ModelConfig config;
  config.path = checked_path("model.path", spec.path());
  if (spec.has_reference()) config.reference = checked_path("model.reference", spec.reference());
  if (spec.has_chat_template()) config.chat_template = checked_path("model.chat_template", spec.chat_template());
  if (spec.has_adapter()) config.adapter = checked_path("model.adapter", spec.adapter());
  if (spec.has_lora()) {
    const LoraSettings settings = lora_settings(spec.lora());
    if (!config.adapter) {
      config.lora = settings;
    } else if (is_dropout_alone(spec.lora())) {
      config.adapter_dropout = settings.dropout;
    } else {
      refuse_combination(
          "model has both lora and adapter; remove lora (adapter_config.json has its settings), or leave nothing but "
          "dropout in it, or remove adapter");
    }
  }
  if (spec.has_reference_cache()) config.reference_cache = spec.reference_cache();
  set_enum(config.dtype, "model.dtype", spec.dtype(), v1::DType_descriptor());
  set_enum(config.quantization, "model.quantization", spec.quantization(), v1::Quantization_descriptor());
  if (config.quantization != Quantization::kNone && !config.lora && !config.adapter) {
    refuse_combination(
        "model.quantization freezes the model's weights; give lora or adapter, which is then what is trained");
  }
  return config;
}

void resolve_model(const JobConfig& config, v1::ModelSpec& spec) {
  spec.set_dtype(message_enum<v1::DType>(config.model.dtype));
  spec.set_quantization(message_enum<v1::Quantization>(config.model.quantization));
  if (config.model.lora) resolve_lora(*config.model.lora, *spec.mutable_lora());
  const bool has_reference = config.loss.type != LossType::kSft && !config.loss.reference_free;
  if (has_reference) spec.set_reference_cache(config.model.reference_cache);
}

void make_paths_absolute(const std::filesystem::path& folder, v1::ModelSpec& spec) {
  spec.set_path(absolute_path(folder, spec.path()));
  if (spec.has_reference()) spec.set_reference(absolute_path(folder, spec.reference()));
  if (spec.has_adapter()) spec.set_adapter(absolute_path(folder, spec.adapter()));
  if (spec.has_chat_template()) spec.set_chat_template(absolute_path(folder, spec.chat_template()));
}

}  // namespace equipoise
