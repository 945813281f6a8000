#include "coordinator/metrics/metric_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <vector>

namespace equipoise::metrics {
namespace metric_names_test {

bool is_name(std::string_view text) {
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos;
}

TEST(MetricNames, HaveThePrefixAndTheAlphabetOfPrometheus) {
  for (const Metric& metric : kAll) {
    EXPECT_TRUE(metric.name.starts_with("equipoise_")) << metric.name;
    EXPECT_TRUE(is_name(metric.name)) << metric.name;
    for (const std::string_view label : metric.labels()) EXPECT_TRUE(is_name(label)) << metric.name;
  }
}

TEST(MetricNames, AreDistinct) {
  std::set<std::string_view> names;
  for (const Metric& metric : kAll) EXPECT_TRUE(names.insert(metric.name).second) << metric.name;
  for (const Metric& metric : kOfProcess) EXPECT_TRUE(names.insert(metric.name).second) << metric.name;
}

TEST(MetricNames, EndAsTheirTypeAndUnitSay) {
  for (const Metric& metric : kAll) {
    const bool is_counter = metric.type == Type::kCounter;
    const std::string ending = is_counter ? "_total" : "";
    EXPECT_EQ(metric.name.ends_with("_total"), is_counter) << metric.name;
    EXPECT_EQ(metric.name.ends_with("_seconds" + ending), metric.unit == "seconds") << metric.name;
    EXPECT_EQ(metric.name.ends_with("_bytes" + ending), metric.unit == "bytes") << metric.name;
    EXPECT_FALSE(metric.help.empty()) << metric.name;
  }
}

TEST(MetricNames, LabelsAreOnlyTheUsedOnes) {
  EXPECT_EQ(kGroupLoss.labels().size(), 3u);
  EXPECT_EQ(kTrainStep.labels().size(), 1u);
  EXPECT_EQ(kTrainStep.labels()[0], "training_job");
}

std::string documented_row(const Metric& metric) {
  std::string labels;
  for (const std::string_view label : metric.labels()) labels += (labels.empty() ? "" : ", ") + std::string(label);
  const std::string type = metric.type == Type::kGauge     ? "gauge"
                           : metric.type == Type::kCounter ? "counter"
                                                           : "histogram";
  std::string row = "| `";
  for (const std::string& cell :
       {std::string(metric.name) + "`", type, metric.unit == "1" ? std::string() : std::string(metric.unit), labels,
        std::string(metric.help)}) {
    row += cell + " | ";
  }
  row.pop_back();
  return row;
}

// A page that lacks a metric, or has one that is gone, is no reference. What fails here is the row to write.
TEST(MetricNames, AreTheRowsOfTheReference) {
  std::vector<std::string> expected, found;
  for (const Metric& metric : kAll) expected.push_back(documented_row(metric));
  for (const Metric& metric : kOfProcess) expected.push_back(documented_row(metric));
  std::ifstream page("../docs/reference/metrics.md");
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("| `equipoise_") || line.starts_with("| `process_")) found.push_back(line);
  }
  EXPECT_THAT(found, ::testing::UnorderedElementsAreArray(expected));
}

// Prometheus sets these two itself, and renames or drops what a page has under their names.
TEST(MetricNames, NoLabelIsOneThatPrometheusSets) {
  for (const Metric& metric : kAll) {
    for (const std::string_view label : metric.labels())
      EXPECT_TRUE(label != "job" && label != "instance") << metric.name;
  }
}

}  // namespace metric_names_test
}  // namespace equipoise::metrics
