// The settings of a run that people change while it goes on, on one rank. Every rank has the same changes and applies
// each right before the same step.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "common/protocol/live_settings.h"

namespace equipoise {

class LiveSettings {
 public:
  // `changes`: as StartTraining was answered.
  explicit LiveSettings(SettingsChanges changes);

  // Those that ApplySettings has answered.
  void add(const SettingsChanges& changes);
  // What begins to hold with the step that follows `steps_done` others; absent: nothing does.
  std::optional<v1::TrainingJobSettings> due(std::int64_t steps_done) const;
  // What due() is made of, for people. The changes are valid until the next add().
  std::vector<StartedSetting> started(std::int64_t steps_done) const { return started_settings(changes_, steps_done); }
  // What held before that step, of all that was changed.
  v1::TrainingJobSettings before(std::int64_t steps_done) const { return settings_in_force(changes_, steps_done - 1); }
  // Of the newest change that has taken effect; 0: none has.
  std::int64_t version() const { return version_; }

 private:
  SettingsChanges changes_;  // ascending version
  std::vector<std::int64_t> steps_;
  std::int64_t version_ = 0;
};

}  // namespace equipoise
