#include "worker/training/live_settings.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace rank_settings_test {

v1::SettingsChange change(std::int64_t version, std::int64_t step, double trade_off) {
  v1::SettingsChange change;
  change.set_version(version);
  change.set_effective_step(step);
  change.mutable_settings()->set_trade_off(trade_off);
  return change;
}

TEST(RankSettings, AreDueAtTheirStepAndNowhereElse) {
  LiveSettings settings({});
  EXPECT_EQ(settings.version(), 0);
  EXPECT_FALSE(settings.due(0));
  SettingsChanges added;
  *added.Add() = change(1, 7, 0.5);
  settings.add(added);
  EXPECT_EQ(settings.version(), 1);
  EXPECT_FALSE(settings.due(6));
  ASSERT_TRUE(settings.due(7));
  EXPECT_EQ(settings.due(7)->trade_off(), 0.5);
  EXPECT_FALSE(settings.due(8));
}

TEST(RankSettings, ThoseThatAnAttemptBeforeHadLaterGiveWayToNewerOnes) {
  SettingsChanges from_start;
  *from_start.Add() = change(1, 20, 0.5);
  LiveSettings settings(from_start);
  SettingsChanges added;
  *added.Add() = change(2, 10, 0.75);
  settings.add(added);
  EXPECT_EQ(settings.version(), 2);
  EXPECT_EQ(settings.due(10)->trade_off(), 0.75);
  ASSERT_TRUE(settings.due(20));
  EXPECT_FALSE(settings.due(20)->has_trade_off());
}

}  // namespace rank_settings_test
}  // namespace equipoise
