#include "common/metrics/metrics_lines.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Small enough for a test, in the same proportions.
constexpr ReadingLimits kSmall{
    .whole = 100'000, .sampled = 2'000'000, .samples = 40, .longest_line = 1000, .beginning = 2000, .end = 2000};

struct Lines {
  std::vector<std::string> texts;
  ReadLines read;
};

Lines lines_of_file(const std::filesystem::path& file, const ReadingLimits& limits = {}) {
  Lines lines;
  lines.read =
      read_metrics_lines(file, limits, [&](std::string_view line, MetricsLineKind) { lines.texts.emplace_back(line); });
  return lines;
}

TEST(MetricsLines, AreOfTheirKindByTheirBeginning) {
  EXPECT_EQ(kind_of_line(R"({"step":1})"), MetricsLineKind::kStep);
  EXPECT_EQ(kind_of_line(R"({"split":"validation","step":1})"), MetricsLineKind::kEvaluation);
  EXPECT_EQ(kind_of_line(R"({"split": "validation", "step": 1})"), MetricsLineKind::kEvaluation);
  EXPECT_EQ(kind_of_line(R"({"split":"validation/asia","step":1})"), MetricsLineKind::kFileEvaluation);
  EXPECT_EQ(kind_of_line(R"({"split":"test","step":1})"), MetricsLineKind::kTest);
  EXPECT_EQ(kind_of_line(R"({"split":"settings","step":1})"), MetricsLineKind::kSettings);
  EXPECT_EQ(kind_of_line(R"({"split":"validations","step":1})"), MetricsLineKind::kOther);
  EXPECT_EQ(kind_of_line("no object"), MetricsLineKind::kOther);
}

TEST(MetricsLines, AreHandedOutInTheirOrderWithoutTheOneThatIsBeingWritten) {
  const TempFolder folder;
  const auto file = folder.write("metrics.jsonl", "{\"step\":1}\n\nnone\n{\"step\":2}\n{\"step\":3");
  const Lines lines = lines_of_file(file);
  EXPECT_THAT(lines.texts, ElementsAre("{\"step\":1}", "{\"step\":2}"));
  EXPECT_FALSE(lines.read.is_sampled);
}

// Blocks of 1 MiB end inside of lines.
TEST(MetricsLines, AreWholeWhereverTheFileIsCutForReading) {
  const TempFolder folder;
  std::string text;
  std::vector<std::string> expected;
  for (int step = 0; text.size() < (std::size_t{3} << 20); ++step) {
    expected.push_back("{\"step\":" + std::to_string(step) + ",\"x\":\"" + std::string(step % 7000, 'x') + "\"}");
    text += expected.back() + "\n";
  }
  EXPECT_EQ(lines_of_file(folder.write("metrics.jsonl", text)).texts, expected);
}

TEST(MetricsLines, LongerThanTheLimitAreLeftOut) {
  const TempFolder folder;
  const std::string longer = "{\"step\":2,\"x\":\"" + std::string(2'000'000, 'x') + "\"}\n";
  const auto file = folder.write("metrics.jsonl", "{\"step\":1}\n" + longer + "{\"step\":3}\n");
  EXPECT_THAT(lines_of_file(file, {.longest_line = 1'500'000}).texts, ElementsAre("{\"step\":1}", "{\"step\":3}"));
}

TEST(MetricsLines, OfALargeFileAreSamplesInOrderWithItsBeginningAndItsEnd) {
  const TempFolder folder;
  std::string text;
  int count = 0;
  for (; text.size() < 200'000; ++count) text += "{\"step\":" + std::to_string(count) + "}\n";
  const Lines lines = lines_of_file(folder.write("metrics.jsonl", text), kSmall);
  EXPECT_TRUE(lines.read.is_sampled);
  EXPECT_EQ(lines.texts.front(), "{\"step\":0}");
  EXPECT_EQ(lines.texts.back(), "{\"step\":" + std::to_string(count - 1) + "}");
  std::vector<int> steps;
  for (const std::string& line : lines.texts) steps.push_back(std::stoi(line.substr(8)));
  EXPECT_TRUE(std::ranges::is_sorted(steps, std::less_equal())) << "each once";
  EXPECT_EQ(std::ranges::count_if(steps, [&](int step) { return step > count / 4 && step < count * 3 / 4; }), 20);
}

TEST(MetricsLines, AreOfAFileThatCanBeRead) {
  const TempFolder folder;
  EXPECT_THAT([&] { lines_of_file(folder.path() / "none"); },
              testing::ThrowsMessage<std::invalid_argument>(HasSubstr("none: No such file")));
  EXPECT_THAT([&] { lines_of_file(folder.path()); },
              testing::ThrowsMessage<std::invalid_argument>(HasSubstr("is not a file")));
}

}  // namespace
}  // namespace equipoise
