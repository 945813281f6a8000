#include "client/report/weight_history.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace equipoise {
namespace {

v1::ListGroupWeightsResponse page_of(std::int64_t step, double alpha) {
  v1::ListGroupWeightsResponse page;
  *page.add_group_names() = std::string("a, \"b\"");
  *page.add_group_names() = std::string("c");
  v1::GroupWeightRecord& record = *page.add_records();
  record.set_step(step);
  record.set_generation(1);
  record.add_alpha(alpha);
  record.add_alpha(1 - alpha);
  return page;
}

TEST(WeightHistory, IsOneCsvOverAllPagesWithNamesQuoted) {
  std::ostringstream out;
  const auto writer = make_csv_writer(out);
  writer->add(page_of(0, 0.5));
  writer->add(page_of(1, 0.1));
  writer->finish();
  EXPECT_EQ(out.str(), "step,generation,\"a, \"\"b\"\"\",c\n0,1,0.5,0.5\n1,1,0.1,0.9\n");
}

TEST(WeightHistory, IsOneJsonListOverAllPages) {
  std::ostringstream out;
  const auto writer = make_json_writer(out);
  writer->add(page_of(0, 0.5));
  writer->add(page_of(1, 0.1));
  writer->finish();
  EXPECT_EQ(out.str(),
            "[\n{\"step\":0,\"generation\":1,\"alpha\":{\"a, \\\"b\\\"\":0.5,\"c\":0.5}},\n"
            "{\"step\":1,\"generation\":1,\"alpha\":{\"a, \\\"b\\\"\":0.1,\"c\":0.9}}\n]\n");
}

TEST(WeightHistory, IsAnEmptyListBeforeTheFirstStep) {
  std::ostringstream out;
  make_json_writer(out)->finish();
  EXPECT_EQ(out.str(), "[]\n");
}

}  // namespace
}  // namespace equipoise
