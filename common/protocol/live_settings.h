// Settings of a job that people change while it runs, as coordinator and ranks understand them. A change takes effect
// between two steps. It stays on record with the number of steps done by then, so that whoever does those steps again
// takes it up at the same place; a newer one counts more wherever both hold.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "equipoise/v1/training.pb.h"

namespace equipoise {

// As TrainingJob.settings_changes: ascending versions.
using SettingsChanges = google::protobuf::RepeatedPtrField<v1::SettingsChange>;

// What holds in the step that follows `steps_done` others: of each setting the newest change that took effect by then.
v1::TrainingJobSettings settings_in_force(const SettingsChanges& changes, std::int64_t steps_done);
// What of it begins to hold with that step.
v1::TrainingJobSettings settings_from(const SettingsChanges& changes, std::int64_t steps_done);
// A setting that begins to hold with that step, and the change that it is of.
struct StartedSetting {
  const google::protobuf::FieldDescriptor* field = nullptr;  // of TrainingJobSettings
  const v1::SettingsChange* change = nullptr;                // in `changes`
};
std::vector<StartedSetting> started_settings(const SettingsChanges& changes, std::int64_t steps_done);
// A setting as a number, whatever its type.
double setting_number(const v1::TrainingJobSettings& settings, const google::protobuf::FieldDescriptor& field);
// Ascending: the numbers of steps done at which any change took effect.
std::vector<std::int64_t> steps_of_changes(const SettingsChanges& changes);

struct PlannedEnd {
  std::int64_t step = 0;                                           // without changes
  std::int64_t latest = std::numeric_limits<std::int64_t>::max();  // that a change may move it to
};
// Steps after which training ends. A change that took effect when its max_steps were done already ends it with the next
// step.
std::int64_t end_with(const SettingsChanges& changes, PlannedEnd planned);

// "trade_off 0.5, max_steps 300".
std::string settings_text(const v1::TrainingJobSettings& settings);

}  // namespace equipoise
