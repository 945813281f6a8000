#include "common/protocol/step_phases.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace step_phases_test {

TEST(StepPhases, AreTheirOwnLabels) {
  for (const std::string_view phase : kStepPhases) EXPECT_EQ(step_phase_label(phase), phase);
}

TEST(StepPhases, OthersShareOneLabel) {
  EXPECT_EQ(step_phase_label("invented"), "other");
  EXPECT_EQ(step_phase_label(""), "other");
}

}  // namespace step_phases_test
}  // namespace equipoise
