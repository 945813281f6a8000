#include "common/protocol/rank_phase.h"

#include <gtest/gtest.h>

#include <set>

namespace equipoise {
namespace rank_phase_test {

TEST(RankPhase, EachHasANameOfItsOwn) {
  std::set<std::string> names;
  const auto& phases = *v1::RankPhase_descriptor();
  for (int i = 0; i < phases.value_count(); ++i) {
    names.insert(phase_name(static_cast<v1::RankPhase>(phases.value(i)->number())));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(phases.value_count()));
  EXPECT_EQ(phase_name(v1::RANK_PHASE_READING_DATA), "reading data");
  EXPECT_EQ(phase_name(v1::RANK_PHASE_LOADING_MODEL), "loading model");
}

TEST(RankPhase, OfALaterVersionIsUnknown) { EXPECT_EQ(phase_name(static_cast<v1::RankPhase>(77)), "?"); }

}  // namespace rank_phase_test
}  // namespace equipoise
