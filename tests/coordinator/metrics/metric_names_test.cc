#include "coordinator/metrics/metric_names.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

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
}

TEST(MetricNames, EndAsTheirTypeAndUnitSay) {
  for (const Metric& metric : kAll) {
    EXPECT_EQ(metric.name.ends_with("_total"), metric.type == Type::kCounter) << metric.name;
    EXPECT_EQ(metric.name.ends_with("_seconds"), metric.unit == "seconds") << metric.name;
    EXPECT_FALSE(metric.help.empty()) << metric.name;
  }
}

TEST(MetricNames, LabelsAreOnlyTheUsedOnes) {
  EXPECT_EQ(kGroupLoss.labels().size(), 3u);
  EXPECT_EQ(kTrainStep.labels().size(), 1u);
  EXPECT_EQ(kTrainStep.labels()[0], "training_job");
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
