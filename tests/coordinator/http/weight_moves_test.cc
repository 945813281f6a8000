#include "coordinator/http/weight_moves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace weight_moves_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

bool any_file(const std::filesystem::path& /*file*/) { return true; }

// Of group 0 alpha jumps in step 12 and a little in each; what it gets the others lose. Steps from 0.
double alpha_after(std::int64_t step, int group, int groups) {
  const double first = 0.2 + 0.001 * static_cast<double>(step) + (step >= 11 ? 0.3 : 0);
  return group == 0 ? first : (1 - first) * (group + 1) / (0.5 * groups * (groups + 1) - 1);
}

v1::ListGroupWeightsResponse history_of(std::int64_t first, std::int64_t last, int groups) {
  v1::ListGroupWeightsResponse history;
  for (int g = 0; g < groups; ++g) history.add_group_names("group " + std::to_string(g));
  for (std::int64_t step = first; step <= last; ++step) {
    v1::GroupWeightRecord& record = *history.add_records();
    record.set_step(step);
    for (int g = 0; g < groups; ++g) {
      record.add_alpha(alpha_after(step, g, groups));
      if (g == 1) continue;  // in no batch
      record.add_group(static_cast<std::uint32_t>(g));
      record.add_loss_sum(g + 0.25 * static_cast<double>(step));
      record.add_pair_count(4);
    }
  }
  return history;
}

void write_file(const std::filesystem::path& folder, std::int64_t steps, std::int64_t budget_mib = 64) {
  SharesWriter writer(folder, {.budget = budget_mib << 20, .groups = {"group 0", "group 1"}, .files = {"/d/a.jsonl"}},
                      0);
  for (std::int64_t step = 1; step <= steps; ++step) {
    GroupShares group{.group = 0,
                      .step = step,
                      .loss_sum = 3,
                      .pair_count = 2,
                      .alpha_before = 0,
                      .alpha_after = step == 777 ? 0.5 : 0.001};
    set_shares({{.file = 0, .row = step, .share = 2}, {.file = 0, .row = 5, .share = 1}}, group);
    writer.add(step, {group});
  }
  writer.write_open();
}

nlohmann::json answer_of(const MoveQuery& query, const RunSharesFile& file, int groups = 3) {
  const HistoryRange range = history_range(query);
  return nlohmann::json::parse(moves_json(query, history_of(range.first, range.first + range.steps - 1, groups), file));
}

TEST(WeightMoves, TellTheStepOfTheLargestMoveAndThoseAround) {
  const TempFolder folder;
  write_file(folder.path(), 30);
  const nlohmann::json answer =
      answer_of({.group = "group 0", .from = 2, .to = 20}, run_shares_file(folder.path(), any_file));
  EXPECT_EQ(answer["step"], 12);
  std::vector<std::int64_t> steps;
  for (const auto& step : answer["steps"]) steps.push_back(step["step"]);
  EXPECT_THAT(steps, ElementsAre(8, 9, 10, 11, 12, 13, 14, 15, 16));
  const nlohmann::json& here = answer["steps"][4]["groups"];
  EXPECT_EQ(here["group 0"]["before"], alpha_after(10, 0, 3));
  EXPECT_EQ(here["group 0"]["after"], alpha_after(11, 0, 3));
  EXPECT_EQ(here["group 2"]["lossSum"], 2 + 0.25 * 11);
  EXPECT_EQ(here["group 2"]["pairCount"], 4);
  EXPECT_TRUE(here["group 1"]["lossSum"].is_null());
  EXPECT_EQ(here["group 1"]["pairCount"], 0);
  EXPECT_EQ(answer["pairs"]["first"], 12);
  const nlohmann::json& pairs = answer["pairs"]["groups"]["group 0"];
  EXPECT_EQ(pairs["top"][0], nlohmann::json({{"file", "/d/a.jsonl"}, {"row", 12}, {"share", 2.0}}));
  EXPECT_EQ(pairs["rest"], 0);
  EXPECT_FALSE(answer["pairs"]["groups"].contains("group 1"));
}

TEST(WeightMoves, ShowTheGroupThatIsAskedForAndThoseThatMovedMost) {
  const nlohmann::json answer = answer_of({.group = "group 3", .from = 11, .to = 12}, {}, 30);
  ASSERT_EQ(answer["groups"].size(), 8u);
  EXPECT_EQ(answer["groups"][0], "group 3");
  EXPECT_EQ(answer["groups"][1], "group 0");
  EXPECT_EQ(answer["groups"][2], "group 29");
}

TEST(WeightMoves, FindTheStepOfALongRangeInTheFile) {
  const TempFolder folder;
  write_file(folder.path(), 3000, 1);
  const RunSharesFile file = run_shares_file(folder.path(), any_file);
  const MoveQuery query = narrowed({.group = "group 0", .from = 100, .to = 2900}, file);
  EXPECT_EQ(query.from, 776);
  EXPECT_EQ(query.to, 777);
  const MoveQuery unknown = narrowed({.group = "group 1", .from = 100, .to = 2900}, file);
  EXPECT_EQ(unknown.from, 2500);
  EXPECT_EQ(unknown.to, 2900);
  const MoveQuery behind = narrowed({.group = "group 0", .from = 500, .to = 99'000}, file);
  EXPECT_EQ(behind.to, 777);
  const MoveQuery short_one = narrowed({.group = "group 0", .from = 100, .to = 500}, file);
  EXPECT_EQ(short_one.from, 100);
}

TEST(WeightMoves, SayWhatIsNotKnown) {
  const TempFolder folder;
  const auto none = [](const std::filesystem::path&) { return false; };
  write_file(folder.path(), 5);
  const MoveQuery query{.group = "group 0", .from = 11, .to = 12};
  EXPECT_THAT(answer_of(query, run_shares_file(folder.path(), none))["pairs"]["why"].get<std::string>(),
              HasSubstr("there is no pair_shares.bin"));
  EXPECT_THAT(answer_of(query, run_shares_file(folder.path(), any_file))["pairs"]["why"].get<std::string>(),
              HasSubstr("does not have this step"));
  EXPECT_TRUE(nlohmann::json::parse(moves_json(query, {}, {}))["step"].is_null());
  EXPECT_THAT([&] { moves_json({.group = "nobody", .from = 1, .to = 2}, history_of(0, 3, 2), {}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("no group of this name")));
}

}  // namespace weight_moves_test
}  // namespace equipoise::coordinator
