#include "common/protocol/live_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

namespace equipoise {
namespace live_settings_test {

using ::testing::ElementsAre;

v1::SettingsChange& change(SettingsChanges& changes, std::optional<std::int64_t> effective_step) {
  const std::int64_t version = changes.empty() ? 1 : changes.rbegin()->version() + 1;
  v1::SettingsChange& added = *changes.Add();
  added.set_version(version);
  if (effective_step) added.set_effective_step(*effective_step);
  return added;
}

TEST(LiveSettings, HoldFromTheStepOnAtWhichTheyTookEffect) {
  SettingsChanges changes;
  change(changes, 10).mutable_settings()->set_trade_off(0.5);
  change(changes, std::nullopt).mutable_settings()->set_trade_off(0.1);
  EXPECT_FALSE(settings_in_force(changes, 9).has_trade_off());
  EXPECT_EQ(settings_in_force(changes, 10).trade_off(), 0.5);
  EXPECT_EQ(settings_in_force(changes, 1000).trade_off(), 0.5) << "what waits holds nowhere";
  EXPECT_FALSE(settings_from(changes, 9).has_trade_off());
  EXPECT_EQ(settings_from(changes, 10).trade_off(), 0.5);
  EXPECT_FALSE(settings_from(changes, 11).has_trade_off());
}

TEST(LiveSettings, OfAStepAreToldWithTheChangeThatTheyAreOf) {
  SettingsChanges changes;
  v1::TrainingJobSettings& both = *change(changes, 10).mutable_settings();
  both.set_trade_off(0.5);
  both.set_max_steps(70);
  change(changes, 10).mutable_settings()->set_trade_off(0.75);
  EXPECT_TRUE(started_settings(changes, 9).empty());
  const auto started = started_settings(changes, 10);
  ASSERT_EQ(started.size(), 2U);
  EXPECT_EQ(started[0].field->name(), "trade_off");
  EXPECT_EQ(started[0].change->version(), 2);
  EXPECT_EQ(setting_number(started[0].change->settings(), *started[0].field), 0.75);
  EXPECT_EQ(started[1].field->name(), "max_steps");
  EXPECT_EQ(started[1].change->version(), 1);
  EXPECT_EQ(setting_number(started[1].change->settings(), *started[1].field), 70);
}

TEST(LiveSettings, EachSettingIsThatOfTheNewestChangeThatNamesIt) {
  SettingsChanges changes;
  v1::TrainingJobSettings& both = *change(changes, 10).mutable_settings();
  both.set_trade_off(0.5);
  both.set_step_size(0.25);
  change(changes, 10).mutable_settings()->set_trade_off(0.75);
  change(changes, 20).mutable_settings()->set_step_size(0.125);
  EXPECT_EQ(settings_from(changes, 10).trade_off(), 0.75);
  EXPECT_EQ(settings_from(changes, 10).step_size(), 0.25);
  EXPECT_FALSE(settings_from(changes, 20).has_trade_off());
  EXPECT_EQ(settings_in_force(changes, 20).trade_off(), 0.75);
  EXPECT_EQ(settings_in_force(changes, 20).step_size(), 0.125);
  EXPECT_THAT(steps_of_changes(changes), ElementsAre(10, 20));
}

// An attempt had the older one from step 120 on. The next one began at step 100, and got the newer one at step 105.
TEST(LiveSettings, AnOlderChangeOfALaterStepDoesNotUndoANewerOne) {
  SettingsChanges changes;
  v1::TrainingJobSettings& older = *change(changes, 120).mutable_settings();
  older.set_trade_off(0.5);
  older.set_learning_rate(1e-4);
  change(changes, 105).mutable_settings()->set_trade_off(0.75);
  EXPECT_EQ(settings_from(changes, 105).trade_off(), 0.75);
  EXPECT_FALSE(settings_from(changes, 120).has_trade_off());
  EXPECT_EQ(settings_from(changes, 120).learning_rate(), 1e-4) << "of which the newer one says nothing";
  EXPECT_EQ(settings_in_force(changes, 120).trade_off(), 0.75);
}

TEST(LiveSettings, TheEndIsWhereTheNewestChangePutsIt) {
  SettingsChanges changes;
  EXPECT_EQ(end_with(changes, {.step = 100}), 100);
  change(changes, 10).mutable_settings()->set_max_steps(150);
  EXPECT_EQ(end_with(changes, {.step = 100}), 150);
  EXPECT_EQ(end_with(changes, {.step = 100, .latest = 100}), 100) << "a schedule that ends there";
  change(changes, 20).mutable_settings()->set_max_steps(60);
  EXPECT_EQ(end_with(changes, {.step = 100}), 60);
  change(changes, std::nullopt).mutable_settings()->set_max_steps(70);
  EXPECT_EQ(end_with(changes, {.step = 100}), 60) << "what waits moves nothing";
}

TEST(LiveSettings, AnEndThatHasPassedByThenIsTheNextStep) {
  SettingsChanges changes;
  change(changes, 50).mutable_settings()->set_max_steps(40);
  EXPECT_EQ(end_with(changes, {.step = 100}), 51);
  EXPECT_EQ(end_with(changes, {.step = 50}), 50) << "all is done: no step is added";
}

TEST(LiveSettings, AreToldInWords) {
  v1::TrainingJobSettings settings;
  settings.set_trade_off(0.5);
  settings.set_max_steps(300);
  EXPECT_EQ(settings_text(settings), "trade_off 0.5, max_steps 300");
  EXPECT_EQ(settings_text({}), "");
}

}  // namespace live_settings_test
}  // namespace equipoise
