#include "common/protocol/live_settings.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>

#include <algorithm>

namespace equipoise {
namespace {

bool holds(const v1::SettingsChange& change, std::int64_t steps_done) {
  return change.has_effective_step() && change.effective_step() <= steps_done;
}

}  // namespace

v1::TrainingJobSettings settings_in_force(const SettingsChanges& changes, std::int64_t steps_done) {
  v1::TrainingJobSettings settings;
  for (const v1::SettingsChange& change : changes) {
    if (holds(change, steps_done)) settings.MergeFrom(change.settings());
  }
  return settings;
}

std::vector<StartedSetting> started_settings(const SettingsChanges& changes, std::int64_t steps_done) {
  const auto& descriptor = *v1::TrainingJobSettings::descriptor();
  const auto& reflection = *v1::TrainingJobSettings::GetReflection();
  std::vector<StartedSetting> started;
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const google::protobuf::FieldDescriptor* const field = descriptor.field(i);
    const v1::SettingsChange* newest = nullptr;
    for (const v1::SettingsChange& change : changes) {
      if (holds(change, steps_done) && reflection.HasField(change.settings(), field)) newest = &change;
    }
    const bool begins = newest != nullptr && newest->effective_step() == steps_done;
    if (begins) started.push_back({.field = field, .change = newest});
  }
  return started;
}

double setting_number(const v1::TrainingJobSettings& settings, const google::protobuf::FieldDescriptor& field) {
  const auto& reflection = *v1::TrainingJobSettings::GetReflection();
  switch (field.cpp_type()) {
    case google::protobuf::FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(settings, &field);
    case google::protobuf::FieldDescriptor::CPPTYPE_INT64:
      return static_cast<double>(reflection.GetInt64(settings, &field));
    default:
      return static_cast<double>(reflection.GetInt32(settings, &field));
  }
}

v1::TrainingJobSettings settings_from(const SettingsChanges& changes, std::int64_t steps_done) {
  v1::TrainingJobSettings settings = settings_in_force(changes, steps_done);
  const std::vector<StartedSetting> started = started_settings(changes, steps_done);
  const auto& descriptor = *v1::TrainingJobSettings::descriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const auto* const field = descriptor.field(i);
    if (std::ranges::find(started, field, &StartedSetting::field) != started.end()) continue;
    v1::TrainingJobSettings::GetReflection()->ClearField(&settings, field);
  }
  return settings;
}

std::vector<std::int64_t> steps_of_changes(const SettingsChanges& changes) {
  std::vector<std::int64_t> steps;
  for (const v1::SettingsChange& change : changes) {
    if (change.has_effective_step()) steps.push_back(change.effective_step());
  }
  std::ranges::sort(steps);
  const auto repeated = std::ranges::unique(steps);
  steps.erase(repeated.begin(), repeated.end());
  return steps;
}

std::int64_t end_with(const SettingsChanges& changes, PlannedEnd planned) {
  std::int64_t end = planned.step;
  for (const v1::SettingsChange& change : changes) {
    if (!change.has_effective_step() || !change.settings().has_max_steps()) continue;
    const std::int64_t wanted = std::min(change.settings().max_steps(), planned.latest);
    end = wanted > change.effective_step() ? wanted : std::min(end, change.effective_step() + 1);
  }
  return end;
}

std::string settings_text(const v1::TrainingJobSettings& settings) {
  std::string text;
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  v1::TrainingJobSettings::GetReflection()->ListFields(settings, &fields);
  for (const google::protobuf::FieldDescriptor* field : fields) {
    std::string value;
    google::protobuf::TextFormat::PrintFieldValueToString(settings, field, -1, &value);
    if (!text.empty()) text += ", ";
    text += field->name();
    text += " ";
    text += value;
  }
  return text;
}

}  // namespace equipoise
