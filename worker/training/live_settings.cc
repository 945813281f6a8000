#include "worker/training/live_settings.h"

#include <algorithm>

namespace equipoise {

LiveSettings::LiveSettings(SettingsChanges changes) { add(changes); }

void LiveSettings::add(const SettingsChanges& changes) {
  for (const v1::SettingsChange& change : changes) {
    *changes_.Add() = change;
    version_ = std::max(version_, change.version());
  }
  std::sort(changes_.begin(), changes_.end(),
            [](const auto& left, const auto& right) { return left.version() < right.version(); });
  steps_ = steps_of_changes(changes_);
}

std::optional<v1::TrainingJobSettings> LiveSettings::due(std::int64_t steps_done) const {
  if (!std::ranges::binary_search(steps_, steps_done)) return std::nullopt;
  return settings_from(changes_, steps_done);
}

}  // namespace equipoise
