#include "experiments/opinions/opinion_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "experiments/opinions/opinion_claims.h"
#include "tests/experiments/opinions/opinion_fixture.h"
#include "tests/experiments/report/page_results.h"
#include "tests/support/temp_folder.h"

namespace equipoise::reproduce {
namespace opinion_report_test {

using testing::HasSubstr;

Verdict verdict_of(const std::vector<Claim>& claims, const std::string& beginning, std::size_t family) {
  for (const Claim& claim : claims) {
    if (claim.statement.starts_with(beginning)) return claim.findings[family]->verdict;
  }
  ADD_FAILURE() << beginning;
  return Verdict::kDoesNotHold;
}

TEST(OpinionReport, ShowsAllSectionsInABrowserAndFetchesNothing) {
  const OpinionResults results = opinion_results();
  const TempFolder folder;
  const std::string file = folder.write("report.html", opinion_report(results, judge_opinions(results)));
  EXPECT_EQ(std::system(("python3 experiments/report/check_report.py " + file + " opinions").c_str()), 0);
}

TEST(OpinionReport, HasTheEndOfEveryMethodTheJobsAndTheGroups) {
  const OpinionResults results = opinion_results();
  const nlohmann::json shown = page_results(opinion_report(results, judge_opinions(results)));
  for (std::size_t m = 0; m < kOpinionMethods.size(); ++m) {
    const nlohmann::json& method = shown["methods"][m];
    EXPECT_EQ(method["method"], method_name(kOpinionMethods[m]));
    EXPECT_EQ(method["final"]["max_group_loss"]["mean"], mean(final_values(results.runs[m], max_group_loss)));
  }
  EXPECT_EQ(shown["groups"][2]["name"], "<script>");
  EXPECT_EQ(shown["jobs"][0]["max_steps"], 12);
  EXPECT_TRUE(shown["jobs"][0]["beta"].is_null());
  EXPECT_EQ(shown["jobs"][3]["job"], "GR-DPO");
  EXPECT_EQ(shown["jobs"][3]["mode"], "group_robust");
  EXPECT_EQ(shown["jobs"][3]["alpha_step_size"], 0.3);
}

TEST(OpinionReport, FilesAreThoseThatAreAnnounced) {
  std::vector<std::string> names;
  for (const ReportFile& file : opinion_report_files(opinion_results(), {})) names.push_back(file.name);
  EXPECT_EQ(names, opinion_report_names());
}

TEST(OpinionClaims, FollowFromTheNumbers) {
  OpinionResults results = opinion_results();
  const std::vector<Claim> claims = judge_opinions(results);
  for (const std::size_t family : {0U, 1U}) {
    // By the fixture's formula method 2 is below 1 and 0, alike 5 below 4 and 3; accuracies do not depend on it.
    EXPECT_EQ(verdict_of(claims, "The group-robust method ends with a lower max", family), Verdict::kHolds);
    EXPECT_EQ(verdict_of(claims, "It ends with a lower max group loss than importance", family), Verdict::kHolds);
    EXPECT_EQ(verdict_of(claims, "It ends with a higher min group reward", family), Verdict::kDoesNotHold);
    EXPECT_EQ(verdict_of(claims, "It ends with a smaller imbalance", family), Verdict::kDoesNotHold);
    EXPECT_EQ(verdict_of(claims, "Training raises the min group log-prob accuracy: plain", family), Verdict::kHolds);
    EXPECT_EQ(verdict_of(claims, "The weights rise for the group that", family), Verdict::kHolds);
    EXPECT_EQ(verdict_of(claims, "The weights rise for the group whose", family), Verdict::kHolds);
    EXPECT_EQ(verdict_of(claims, "The price", family), Verdict::kDoesNotHold);
  }
  std::swap(results.runs[0], results.runs[2]);
  EXPECT_EQ(verdict_of(judge_opinions(results), "The group-robust method ends with a lower max", 0),
            Verdict::kDoesNotHold);
  EXPECT_EQ(verdict_of(judge_opinions(results), "The price", 0), Verdict::kHolds);
}

TEST(OpinionCsv, HasALineForEachGroupOfEachEvaluation) {
  const OpinionResults results = opinion_results();
  const std::string csv = opinion_evaluations_csv(results);
  // 7 methods with SFT, 3 seeds, 3 evaluations, 3 groups, and the titles.
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 7 * 3 * 3 * 3 + 1);
  const GroupMeasures& group = results.of(Method::kGrIpo)[1].evaluations[2].groups_K[1];
  EXPECT_THAT(
      csv,
      HasSubstr(std::string("\nGR-IPO,5,2,India (Current national sample),").append(std::to_string(group.loss), 0, 3)));
}

TEST(OpinionCsv, WeightsAreThoseOfTheRuns) {
  EXPECT_THAT(opinion_weights_csv(opinion_results()), HasSubstr("\nDPO,4,0,Nigeria,0.3333333333333333\n"));
}

}  // namespace opinion_report_test
}  // namespace equipoise::reproduce
