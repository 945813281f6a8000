#include <algorithm>

#include "common/base/quoted_text.h"
#include "common/config/model_config.h"
#include "common/config/set_enum.h"

namespace equipoise {
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

}  // namespace equipoise
