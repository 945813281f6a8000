#include "client/report/run_comparison.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace run_comparison_test {

constexpr std::size_t kAnyWidth = std::numeric_limits<std::size_t>::max();

const std::string kTrainLine = R"({"step": 1, "loss": 0.7, "group_loss": {"a": 9.0}})";
const std::string kFirst =
    R"({"split": "validation", "step": 0, "group_loss": {"b": 0.7, "a": 0.6}, "group_accuracy": {"b": 0.4, "a": 0.5}})";
const std::string kLast =
    R"({"split": "validation", "step": 9, "group_loss": {"b": 0.3, "a": 0.5}, "group_accuracy": {"b": 0.8, "a": 0.7}})";

std::string refusal(const std::filesystem::path& run) {
  try {
    read_run_metrics(run);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(RunMetrics, TakesTheFirstAndTheLastEvaluation) {
  const TempFolder folder;
  folder.write("dpo/metrics.jsonl", kFirst + "\n" + kTrainLine + "\n" + kLast + "\n" + R"({"split": "valid)");
  const RunMetrics run = read_run_metrics(folder.path() / "dpo");
  EXPECT_EQ(run.name, "dpo");
  EXPECT_EQ(run.group_names, (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(run.before.step, 0);
  EXPECT_EQ(run.before.groups.at("b").loss, 0.7);
  EXPECT_EQ(run.after.step, 9);
  EXPECT_EQ(run.after.groups.at("a").accuracy, 0.7);
}

// As a crash leaves it: anywhere in its last line, also as a block of zeros that was never written.
TEST(RunMetrics, LeaveOutALastLineThatWasCut) {
  const TempFolder folder;
  const std::string whole = kFirst + "\n" + kTrainLine + "\n";
  for (std::size_t length = 0; length <= kLast.size(); ++length) {
    folder.write("dpo/metrics.jsonl", whole + kLast.substr(0, length));
    EXPECT_EQ(read_run_metrics(folder.path() / "dpo").after.step, 0) << length;
  }
  folder.write("dpo/metrics.jsonl", whole + kLast.substr(0, 40) + std::string(4096, '\0'));
  EXPECT_EQ(read_run_metrics(folder.path() / "dpo").after.step, 0);
  folder.write("dpo/metrics.jsonl", whole + kLast + "\n");
  EXPECT_EQ(read_run_metrics(folder.path() / "dpo").after.step, 9);
}

// A loss that is not finite stands as null in the file. It was left out, so that another group was called worst off.
TEST(RunMetrics, AGroupWhoseLossIsNullIsWorstOff) {
  const TempFolder folder;
  folder.write("dpo/metrics.jsonl", R"({"split": "validation", "step": 0, "group_loss": {"a": 0.5, "b": null},)"
                                    R"( "group_accuracy": {"a": 0.25, "b": null}})"
                                    "\n");
  const std::vector<RunMetrics> runs = {read_run_metrics(folder.path() / "dpo")};
  EXPECT_TRUE(std::isnan(runs.front().after.groups.at("b").loss.value()));
  EXPECT_FALSE(runs.front().after.groups.at("b").accuracy);
  EXPECT_NE(run_comparison(runs, 120, Colors::kOff, Glyphs::kAscii).find("b is worst off, validation loss nan"),
            std::string::npos);
}

TEST(RunMetrics, NamesTheRunOfAFinalModel) {
  const TempFolder folder;
  folder.write("dpo/metrics.jsonl", kFirst + "\n");
  folder.write("dpo/final/config.json", "{}");
  const std::string final = (folder.path() / "dpo/final").string(), run = (folder.path() / "dpo").string();
  const std::string why = ": is a folder of a run, which has the metrics: name the run's folder, " + run;
  EXPECT_EQ(refusal(final), final + why);
  EXPECT_EQ(refusal(final + "/"), final + "/" + why);
  folder.write("dpo/checkpoints/step-5/config.json", "{}");
  EXPECT_EQ(refusal(run + "/checkpoints/step-5"), run + "/checkpoints/step-5" + why);
}

TEST(RunMetrics, NamesFileLineAndField) {
  const TempFolder folder;
  const auto not_json = folder.write("1.jsonl", kFirst + "\nnonsense\n");
  EXPECT_EQ(refusal(not_json), not_json.string() + ":2: is not a JSON object");
  const auto no_loss = folder.write("2.jsonl", R"({"split": "validation", "step": 0})"
                                               "\n");
  EXPECT_EQ(refusal(no_loss), no_loss.string() + ":1: field \"group_loss\" is missing");
  const auto text = folder.write("3.jsonl", R"({"split": "validation", "step": 0, "group_loss": {"a": "x"}})"
                                            "\n");
  EXPECT_EQ(refusal(text), text.string() + ":1: field \"group_loss\" holds no number for group \"a\"");
  const auto no_evaluation = folder.write("4.jsonl", kTrainLine + "\n");
  EXPECT_EQ(refusal(no_evaluation), no_evaluation.string() + ": holds no line with \"split\": \"validation\"");
  EXPECT_EQ(refusal(folder.path() / "none"),
            (folder.path() / "none").string() + ": does not exist, expected the folder of a run or its metrics.jsonl");
}

TEST(RunComparison, PutsRunsSideBySideAndMarksEachOnesWorstGroup) {
  const TempFolder folder;
  folder.write("dpo/metrics.jsonl", kFirst + "\n" + kLast + "\n");
  folder.write("gr/metrics.jsonl", kFirst + "\n");
  const std::vector<RunMetrics> runs = {read_run_metrics(folder.path() / "dpo"),
                                        read_run_metrics(folder.path() / "gr")};
  // Columns of 5, 18, 14, 18 and 14 with four gaps of 2: 77.
  EXPECT_EQ(run_comparison(runs, kAnyWidth, Colors::kOff, Glyphs::kAscii),
            "                      dpo                                  gr\n"
            "group  validation loss     accuracy        validation loss     accuracy\n"
            "-----------------------------------------------------------------------------\n"
            "b      0.7000 -> 0.3000    0.400 -> 0.800  0.7000 -> 0.7000 *  0.400 -> 0.400\n"
            "a      0.6000 -> 0.5000 *  0.500 -> 0.700  0.6000 -> 0.6000    0.500 -> 0.500\n"
            "-----------------------------------------------------------------------------\n"
            "worst  0.7000 -> 0.5000    0.400 -> 0.700  0.7000 -> 0.7000    0.400 -> 0.400\n"
            "\n"
            "dpo: after 9 steps a is worst off, validation loss 0.6000 -> 0.5000\n"
            "gr: not evaluated since it began; before the first step b is worst off, validation loss 0.7000\n"
            "gr against dpo: worst loss +0.2000, worst accuracy -0.300\n");
}

TEST(RunComparison, ShowsStandardErrorsOfWhatTheRunsEndWith) {
  const TempFolder folder;
  const auto line = [](const std::string& loss, const std::string& accuracy) {
    return R"({"split": "validation", "step": 9, "group_loss": {"a": )" + loss +
           R"(, "b": 0.25}, "group_loss_error": {"a": 0.03},)" + R"( "group_accuracy": {"a": )" + accuracy +
           R"(, "b": 1}, "group_accuracy_error": {"a": 0.04, "b": 0}})" + "\n";
  };
  folder.write("dpo/metrics.jsonl", kFirst + "\n" + line("1.5", "0.25"));
  folder.write("gr/metrics.jsonl", kFirst + "\n" + line("0.5", "0.75"));
  const std::vector<RunMetrics> runs = {read_run_metrics(folder.path() / "dpo"),
                                        read_run_metrics(folder.path() / "gr")};
  const std::string text = run_comparison(runs, kAnyWidth, Colors::kOff, Glyphs::kAscii);
  EXPECT_NE(text.find("a      0.6000 -> 1.5000 +- 0.030 *  0.500 -> 0.250 +- 0.040  0.6000 -> 0.5000 +- 0.030 *"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("b      0.7000 -> 0.2500             0.400 -> 1.000 +- 0.000"), std::string::npos) << text;
  EXPECT_NE(text.find("worst  0.7000 -> 1.5000 +- 0.030    0.400 -> 0.250 +- 0.040"), std::string::npos) << text;
  // hypot(0.03, 0.03) and hypot(0.04, 0.04)
  EXPECT_NE(text.find("gr against dpo: worst loss -1.0000 +- 0.042, worst accuracy +0.500 +- 0.057\n"
                      "+- one standard error, of a difference as of runs on pairs of their own\n"),
            std::string::npos)
      << text;
}

TEST(RunComparison, PutsRunsBelowEachOtherWhereTheTerminalIsNarrow) {
  const TempFolder folder;
  folder.write("dpo/metrics.jsonl", kFirst + "\n" + kLast + "\n");
  const RunMetrics run = read_run_metrics(folder.path() / "dpo");
  const std::vector<RunMetrics> runs = {run, run};
  const std::string text = run_comparison(runs, 60, Colors::kOff, Glyphs::kAscii);
  EXPECT_NE(text.find("0.400 -> 0.700\n\n"), std::string::npos) << text;
}

}  // namespace run_comparison_test
}  // namespace equipoise
