#include "common/metrics/run_curves.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace {

using nlohmann::json;

const MayRead kAnyFile = [](const std::filesystem::path&) { return true; };

std::string train_line(int step) {
  return json({{"step", step},
               {"epoch", 0.5},
               {"loss", 0.5},
               {"loss_error", 0.01},
               {"group_loss", {{"India", step * 0.5}}},
               {"group_loss_error", {{"India", 0.25}}},
               {"group_weight", {{"India", 0.75}, {"Japan", 0.25}}},
               {"group_accuracy", {{"India", nullptr}}}})
             .dump() +
         "\n";
}

TEST(RunCurves, HaveTheNumbersOfTheLines) {
  const TempFolder folder;
  const std::string validation =
      R"({"split":"validation","step":2,"eval_loss":0.25,"group_loss":{"Japan":0.125},"group_accuracy":{"Japan":1.0},)"
      R"("worst_group":"Peru","worst_group_loss":0.75,"min_group_accuracy":0.5})"
      "\n"
      R"({"split":"validation/other","step":2,"eval_loss":9})"
      "\n";
  const auto file = folder.write("metrics.jsonl", train_line(1) + train_line(2) + validation + R"({"step":3,"lo)");
  const json curves = json::parse(curves_json(file, {.points = 10, .groups = {"India", "Japan"}}, kAnyFile));
  EXPECT_EQ(curves["train"]["step"], json({1, 2}));
  EXPECT_EQ(curves["train"]["loss"], json({0.5, 0.5}));
  EXPECT_EQ(curves["train"]["lossError"], json({0.01, 0.01}));
  EXPECT_EQ(curves["train"]["groups"]["India"]["loss"], json({0.5, 1.0}));
  EXPECT_EQ(curves["train"]["groups"]["India"]["lossError"], json({0.25, 0.25}));
  EXPECT_EQ(curves["train"]["groups"]["India"]["accuracy"], json({nullptr, nullptr}));
  EXPECT_EQ(curves["train"]["groups"]["Japan"]["loss"], json({nullptr, nullptr}));
  EXPECT_EQ(curves["train"]["groups"]["Japan"]["weight"], json({0.25, 0.25}));
  EXPECT_EQ(curves["validation"]["step"], json({2}));
  EXPECT_EQ(curves["validation"]["loss"], json({0.25}));
  EXPECT_EQ(curves["validation"]["groups"]["Japan"]["accuracy"], json({1.0}));
  // Over all groups, whichever were asked for.
  EXPECT_EQ(curves["validation"]["worstLoss"], json({0.75}));
  EXPECT_EQ(curves["validation"]["lowestAccuracy"], json({0.5}));
  EXPECT_EQ(curves["train"]["worstLoss"], json({nullptr, nullptr}));
  EXPECT_FALSE(curves["sampled"]);
}

TEST(RunCurves, AreThinnedAtEvenDistancesAndEndWithTheNewest) {
  const TempFolder folder;
  std::string lines;
  for (int step = 1; step <= 1000; ++step) lines += train_line(step);
  const json curves =
      json::parse(curves_json(folder.write("metrics.jsonl", lines), {.points = 10, .groups = {}}, kAnyFile));
  EXPECT_EQ(curves["train"]["step"], json({1, 101, 201, 301, 401, 501, 601, 701, 801, 901, 1000}));
}

TEST(RunCurves, OfALargeFileAreSampledAcrossIt) {
  const TempFolder folder;
  std::string lines;
  const std::string filler(200'000, 'x');
  for (int step = 1; step <= 400; ++step) {
    lines += R"({"step":)" + std::to_string(step) + R"(,"loss":0.5,"filler":")" + filler + "\"}\n";
  }
  const json curves =
      json::parse(curves_json(folder.write("metrics.jsonl", lines), {.points = 20, .groups = {}}, kAnyFile));
  EXPECT_TRUE(curves["sampled"]);
  const std::vector<int> steps = curves["train"]["step"];
  EXPECT_THAT(steps, testing::SizeIs(testing::Ge(20U)));
  EXPECT_EQ(steps.front(), 1);
  EXPECT_EQ(steps.back(), 400);
  EXPECT_TRUE(std::ranges::is_sorted(steps));
}

// A million points of a file of empty lines were a million strings; a thousand lines of 4 MiB were 4 GiB.
TEST(RunCurves, WhatIsNoLineOfARunIsNotKept) {
  const TempFolder folder;
  const auto file =
      folder.write("metrics.jsonl", std::string(1 << 20, '\n') + train_line(1) + "text\n" + train_line(2));
  const json curves = json::parse(curves_json(file, {.points = 1000, .groups = {}}, kAnyFile));
  EXPECT_EQ(curves["train"]["step"], json({1, 2}));
}

TEST(RunCurves, OfALargeFileWithLongLinesHaveFewerPoints) {
  const TempFolder folder;
  std::string lines;
  const std::string filler(3 << 20, 'x');
  for (int step = 1; step <= 24; ++step) {
    lines += R"({"step":)" + std::to_string(step) + R"(,"loss":0.5,"filler":")";
    lines += filler + "\"}\n";
  }
  const json curves =
      json::parse(curves_json(folder.write("metrics.jsonl", lines), {.points = 1000, .groups = {}}, kAnyFile));
  EXPECT_TRUE(curves["sampled"]);
  EXPECT_LE(curves["train"]["step"].size(), 24U);
  EXPECT_GE(curves["train"]["step"].size(), 2U);
}

TEST(RunCurves, OfAFileThatMayNotBeReadAreEmpty) {
  const TempFolder folder;
  const auto file = folder.write("metrics.jsonl", train_line(1));
  std::filesystem::path asked;
  const MayRead nothing = [&](const std::filesystem::path& path) {
    asked = path;
    return false;
  };
  EXPECT_EQ(json::parse(curves_json(file, {}, nothing))["train"]["step"], json::array());
  EXPECT_EQ(asked, std::filesystem::canonical(file));
  std::filesystem::create_symlink(file, folder / "link");
  EXPECT_EQ(json::parse(curves_json(folder / "link", {}, kAnyFile))["train"]["step"], json::array());
  EXPECT_EQ(json::parse(curves_json(folder / "none", {}, kAnyFile))["bytes"], 0);
}

}  // namespace
}  // namespace equipoise
