#include "client/report/weight_history.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace equipoise {
namespace weight_history_test {

TEST(WeightHistory, IsACsvWithALinePerStepAndNamesQuoted) {
  v1::ListGroupWeightsResponse history;
  *history.add_group_names() = std::string("a, \"b\"");
  *history.add_group_names() = std::string("c");
  for (const std::int64_t step : {0, 1}) {
    v1::GroupWeightRecord& record = *history.add_records();
    record.set_step(step);
    record.set_generation(1);
    record.add_alpha(step == 0 ? 0.5 : 0.1);
    record.add_alpha(step == 0 ? 0.5 : 0.9);
  }
  EXPECT_EQ(weight_history_csv(history), "step,generation,\"a, \"\"b\"\"\",c\n0,1,0.5,0.5\n1,1,0.1,0.9\n");
}

TEST(WeightHistory, IsItsTitlesAloneBeforeTheFirstStep) {
  v1::ListGroupWeightsResponse history;
  *history.add_group_names() = std::string("north");
  EXPECT_EQ(weight_history_csv(history), "step,generation,north\n");
}

}  // namespace weight_history_test
}  // namespace equipoise
