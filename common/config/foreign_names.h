// What settings are called in TRL, transformers, PEFT, axolotl and LLaMA-Factory, and what stands for them in a job.
#pragma once

#include <google/protobuf/descriptor.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace equipoise {

// One setting of others.
struct ForeignKey {
  std::string_view names;  // with spaces between them
  std::string_view ours;   // "loss.type", "model.dtype: bfloat16"; empty: a job has no such setting
  std::string_view note;   // how the two differ, or why there is none; may be empty next to `ours`
};
std::span<const ForeignKey> foreign_keys();

// One value of others' for an enum of ours.
struct ForeignValue {
  std::string_view type;   // of the enum, "LossType"
  std::string_view names;  // with spaces between them
  std::string_view ours;   // a value of the enum, perhaps more; empty: there is none
  std::string_view note;
};
std::span<const ForeignValue> foreign_values();

// "expected training.global_batch_size (of all ranks ...)", or "a job has no such setting: ...". Nothing for a name
// that is not known. Case, "-", "_" and leading dashes do not count: "--reportTo" is report_to.
std::optional<std::string> advice_for_key(std::string_view key);

// "dpo", "cosine (it falls to 0)", or "there is no ...". Nothing for a value that is not known.
std::optional<std::string> advice_for_value(const google::protobuf::EnumDescriptor& type, std::string_view value);

}  // namespace equipoise
