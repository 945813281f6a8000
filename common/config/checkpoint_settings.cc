#include "common/config/checkpoint_settings.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace equipoise {
namespace {

// Settings that no number of a step depends on, and paths, whose content is compared by its digest.
constexpr std::string_view kFreeSettings[] = {"name",
                                              "output",
                                              "overwrite",
                                              "launch",
                                              "logging",
                                              "checkpoint",
                                              "ledger",
                                              "training.epochs",
                                              "training.max_steps",
                                              "training.resume_from_checkpoint",
                                              "training.micro_batch_tokens",
                                              "training.gradient_checkpointing",
                                              "robust.weight_sync",
                                              "model.path",
                                              "model.adapter",
                                              "model.reference_cache",
                                              "model.chat_template",
                                              "data.train",
                                              "data.validation",
                                              "data.test",
                                              "data.token_cache",
                                              "data.train_files.path",
                                              "data.validation_files.path"};

// Of a fork: what every part of a checkpoint means the same with.
constexpr std::string_view kForkSettings[] = {"evaluation.every_steps",  "loss.beta",
                                              "loss.label_smoothing",    "optimizer.adamw_learning_rate",
                                              "optimizer.learning_rate", "optimizer.max_grad_norm",
                                              "optimizer.weight_decay",  "robust.adjustment",
                                              "robust.min_weight",       "robust.step_factor",
                                              "robust.step_minimum",     "robust.step_patience",
                                              "robust.step_size",        "robust.step_threshold",
                                              "robust.trade_off"};

// Finds the first field that differs, "robust.step_size" with both values.
class FirstDifference : public google::protobuf::util::MessageDifferencer::Reporter {
 public:
  using Path = std::vector<google::protobuf::util::MessageDifferencer::SpecificField>;

  void ReportAdded(const google::protobuf::Message& before, const google::protobuf::Message& now,
                   const Path& path) override {
    note(before, now, path);
  }
  void ReportDeleted(const google::protobuf::Message& before, const google::protobuf::Message& now,
                     const Path& path) override {
    note(before, now, path);
  }
  void ReportModified(const google::protobuf::Message& before, const google::protobuf::Message& now,
                      const Path& path) override {
    note(before, now, path);
  }

  const std::string& field() const { return field_; }

 private:
  void note(const google::protobuf::Message& /*before*/, const google::protobuf::Message& /*now*/, const Path& path) {
    if (!field_.empty()) return;
    for (const auto& part : path) {
      if (part.field == nullptr || part.field->containing_type()->options().map_entry()) continue;
      field_ += (field_.empty() ? "" : ".") + part.field->name();
    }
  }

  std::string field_;
};

bool is_free(std::string_view field, CheckpointUse use) {
  if (std::ranges::find(kFreeSettings, field) != std::end(kFreeSettings)) return true;
  return use == CheckpointUse::kFork && std::ranges::find(kForkSettings, field) != std::end(kForkSettings);
}

// Clears the free settings of a message and of those inside it.
void clear_free_settings(google::protobuf::Message& message, const std::string& prefix, CheckpointUse use) {
  const auto& reflection = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const google::protobuf::FieldDescriptor* field : fields) {
    const std::string name = prefix + field->name();
    if (is_free(name, use)) {
      reflection.ClearField(&message, field);
      continue;
    }
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) continue;
    if (!field->is_repeated()) {
      clear_free_settings(*reflection.MutableMessage(&message, field), name + ".", use);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      clear_free_settings(*reflection.MutableRepeatedMessage(&message, field, i), name + ".", use);
    }
  }
}

v1::JobSpec without_free_settings(v1::JobSpec spec, CheckpointUse use) {
  clear_free_settings(spec, "", use);
  return spec;
}

// What the field is in the job's YAML; empty where it has none.
std::string value_text(const v1::JobSpec& spec, const std::string& field) {
  const google::protobuf::Message* message = &spec;
  std::size_t begin = 0;
  while (true) {
    const std::size_t point = field.find('.', begin);
    const google::protobuf::FieldDescriptor* const part =
        message->GetDescriptor()->FindFieldByName(field.substr(begin, point - begin));
    if (part == nullptr) return "";
    const auto& reflection = *message->GetReflection();
    const bool is_message = part->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE;
    if (part->is_repeated() || (point == std::string::npos && is_message)) return "";
    if (!is_message) {
      if (!reflection.HasField(*message, part)) return "not given";
      std::string text;
      google::protobuf::TextFormat::PrintFieldValueToString(*message, part, -1, &text);
      return text;
    }
    message = &reflection.GetMessage(*message, part);
    begin = point + 1;
  }
}

}  // namespace

void check_same_settings(const v1::JobSpec& now_with_all, const v1::JobSpec& before_with_all, std::int64_t step,
                         CheckpointUse use) {
  v1::JobSpec before = before_with_all, now = now_with_all;
  // Which of the others automatic becomes is known with the data: the order of the pairs is compared then.
  const bool is_one_group =
      before.training().sampling() == v1::SAMPLING_ONE_GROUP || now.training().sampling() == v1::SAMPLING_ONE_GROUP;
  const bool is_automatic =
      before.training().sampling() == v1::SAMPLING_AUTOMATIC || now.training().sampling() == v1::SAMPLING_AUTOMATIC;
  if (is_automatic && !is_one_group) {
    before.mutable_training()->clear_sampling();
    now.mutable_training()->clear_sampling();
  }
  FirstDifference difference;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesTo(&difference);
  if (differencer.Compare(without_free_settings(before, use), without_free_settings(now, use))) return;
  const std::string& field = difference.field();
  const std::string value = value_text(now, field), value_before = value_text(before, field);
  const bool has_values = !value.empty() && !value_before.empty();
  throw std::invalid_argument(field + (has_values ? " is " + value + ", but " + value_before : " is not what it is") +
                              " in the job of the checkpoint of step " + std::to_string(step) +
                              "; a run goes on with the settings it has, or starts from model.path of a checkpoint");
}

void check_end_after(std::int64_t step, const JobConfig& config) {
  const auto& max_steps = config.training.max_steps;
  if (!max_steps || *max_steps >= step) return;
  throw std::invalid_argument("training.max_steps is " + std::to_string(*max_steps) +
                              ", expected at least the checkpoint's step " + std::to_string(step));
}

}  // namespace equipoise
