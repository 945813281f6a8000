#include "common/config/foreign_names.h"

#include <array>
#include <cctype>

namespace equipoise {
namespace {

constexpr std::array kValues = {
    ForeignValue{"LossType", "sigmoid dpo_sigmoid", "dpo", ""},
    ForeignValue{"LossType", "rdpo robust_dpo", "robust", "with loss.label_smoothing"},
    ForeignValue{"LossType", "cdpo conservative_dpo", "dpo", "with loss.label_smoothing"},
    ForeignValue{"LossType", "slic hinge_loss", "hinge", ""},
    ForeignValue{"LossType", "sigmoid_norm lnorm_dpo", "dpo", "with loss.length_normalized: true"},
    ForeignValue{"LossType", "nll cross_entropy", "sft", ""},
    ForeignValue{"LossType", "rpo", "dpo", "with loss.sft_weight"},
    ForeignValue{"LossType", "group_robust gr_dpo grdpo dro group_dro", "dpo", "with robust.mode: group_robust"},
    ForeignValue{"LossType", "gr_ipo gripo", "ipo", "with robust.mode: group_robust"},
    ForeignValue{"LossType",
                 "exo_pair nca_pair bco_pair sppo_hard aot aot_pair aot_unpaired apo_zero apo_down discopop simpo orpo "
                 "cpo kto kto_pair reward grpo ppo",
                 "", "this loss is not implemented"},
    ForeignValue{"OptimizerType",
                 "adamw_torch adamw_hf adam adamw_torch_fused adamw_apex_fused adamw_torch_xla adamw_torch_npu_fused "
                 "adamw_anyprecision fused_adamw",
                 "adamw", ""},
    ForeignValue{"OptimizerType",
                 "adamw_bnb_8bit adamw_8bit adamw_torch_8bit adamw_torch_4bit paged_adamw_32bit paged_adamw_8bit "
                 "paged_adamw ademamix ademamix_8bit paged_ademamix_32bit paged_ademamix_8bit stable_adamw "
                 "grokadamw",
                 "adamw", "its state is float32 and not paged"},
    ForeignValue{"OptimizerType", "rmsprop_bnb rmsprop_bnb_8bit rmsprop_bnb_32bit", "rmsprop", "its state is float32"},
    ForeignValue{"OptimizerType", "muon_torch", "muon", ""},
    ForeignValue{"OptimizerType",
                 "adafactor adagrad lion lion_8bit lion_32bit paged_lion_32bit paged_lion_8bit galore_adamw "
                 "galore_adamw_8bit galore_adafactor galore_adamw_layerwise galore_adamw_8bit_layerwise "
                 "galore_adafactor_layerwise lomo adalomo schedule_free_radam schedule_free_adamw schedule_free_sgd "
                 "apollo_adamw apollo_adamw_layerwise lamb sophia shampoo",
                 "", "this optimizer is not implemented"},
    ForeignValue{"ScheduleType", "constant_with_warmup", "constant", "with optimizer.schedule.warmup_steps"},
    ForeignValue{"ScheduleType", "linear_with_warmup", "linear", "with optimizer.schedule.warmup_steps"},
    ForeignValue{"ScheduleType", "cosine_with_warmup", "cosine", "with optimizer.schedule.warmup_steps"},
    ForeignValue{"ScheduleType", "cosine_with_min_lr cosine_warmup_with_min_lr", "cosine", "it falls to 0"},
    ForeignValue{"ScheduleType", "reduce_lr_on_plateau", "plateau", ""},
    ForeignValue{"ScheduleType",
                 "cosine_with_restarts polynomial inverse_sqrt warmup_stable_decay wsd greedy one_cycle", "",
                 "this schedule is not implemented"},
    ForeignValue{"DType", "bf16 torch.bfloat16", "bfloat16", ""},
    ForeignValue{"DType", "fp32 float torch.float32 32 full", "float32", ""},
    ForeignValue{"DType", "fp64 double torch.float64", "float64", ""},
    ForeignValue{"DType", "fp16 half float16 torch.float16 16", "bfloat16",
                 "float16 needs loss scaling and is not implemented"},
    ForeignValue{"DType", "auto", "", "the type of the folder's weights is not taken over; say which one"},
    ForeignValue{"DType", "fp8 float8 int8 int4 nf4 4bit 8bit", "",
                 "weights of 4 bits are model.quantization: nf4, with model.lora"},
    ForeignValue{"Quantization", "4bit 4 load_in_4bit bnb_4bit bitsandbytes qlora", "nf4", ""},
    ForeignValue{"Quantization", "fp4 8bit 8 int8 int4 load_in_8bit gptq awq fp8", "",
                 "nf4 is the only format of 4 or 8 bits"},
    ForeignValue{"Quantization", "false no off", "none", ""},
    ForeignValue{"LoraInit", "true default kaiming", "kaiming_uniform", ""},
    ForeignValue{"LoraInit", "false pissa olora loftq eva corda orthogonal lora_ga", "",
                 "this start of A and B is not implemented"},
    ForeignValue{"Truncation", "truncate right longest_first", "keep_start", ""},
    ForeignValue{"Truncation", "left", "keep_end", ""},
    ForeignValue{"Truncation", "skip filter", "drop", ""},
    ForeignValue{"Sampling", "random shuffle", "permutation", ""},
    ForeignValue{"Sampling", "sequential", "permutation", "with data.shuffle: false"},
    ForeignValue{"Sampling", "group_by_length", "permutation",
                 "batches are packed without padding, so lengths need no sorting"},
    ForeignValue{"RobustMode", "dpo erm mean false", "none", ""},
    ForeignValue{"RobustMode", "dro group_dro gr_dpo grdpo group robust true", "group_robust", ""},
    ForeignValue{"RobustMode", "is importance_sampling reweighting", "importance", ""},
    ForeignValue{"StopMode", "minimize lower false", "min", ""},
    ForeignValue{"StopMode", "maximize higher true", "max", ""},
};

// Lower case without what separates words.
std::string bare(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if (c != '_' && c != '-') result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return result;
}

bool has_name(std::string_view names, std::string_view bare_name) {
  while (!names.empty()) {
    const std::size_t end = std::min(names.find(' '), names.size());
    if (bare(names.substr(0, end)) == bare_name) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

std::string with_note(std::string_view what, std::string_view note) {
  std::string text(what);
  if (!note.empty()) text.append(" (").append(note).append(")");
  return text;
}

constexpr std::size_t kLongestName = 64;

}  // namespace

std::span<const ForeignValue> foreign_values() { return kValues; }

std::optional<std::string> advice_for_key(std::string_view key) {
  if (key.size() > kLongestName) return std::nullopt;
  const std::string name = bare(key);
  for (const ForeignKey& known : foreign_keys()) {
    if (!has_name(known.names, name)) continue;
    if (!known.ours.empty()) return "expected " + with_note(known.ours, known.note);
    return "a job has no such setting: " + std::string(known.note);
  }
  return std::nullopt;
}

std::optional<std::string> advice_for_value(const google::protobuf::EnumDescriptor& type, std::string_view value) {
  if (value.size() > kLongestName) return std::nullopt;
  const std::string name = bare(value);
  for (const ForeignValue& known : foreign_values()) {
    if (known.type != type.name() || !has_name(known.names, name)) continue;
    return known.ours.empty() ? std::string(known.note) : with_note(known.ours, known.note);
  }
  return std::nullopt;
}

}  // namespace equipoise
