#include "client/evaluate/evaluation_table.h"

#include <gtest/gtest.h>

#include "client/console/console.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace evaluation_table_test {

constexpr const char* kSummary = R"({
  "pairs": 5, "dropped": 1, "dropped_reason": "too long",
  "all": {"name": "all", "pairs": 5, "dropped": 1, "loss": 0.625, "loss_error": 0.0125,
          "reward_accuracy": 0.6, "reward_accuracy_error": 0.24, "logp_accuracy": 0.4, "logp_accuracy_error": 0.24},
  "groups": [
    {"name": "India", "pairs": 4, "dropped": 0, "loss": 0.5, "loss_error": 0.01,
     "reward_accuracy": 0.75, "reward_accuracy_error": 0.25, "logp_accuracy": 0.5, "logp_accuracy_error": 0.288675},
    {"name": "Peru", "pairs": 1, "dropped": 1, "loss": 1.125, "reward_accuracy": 0, "logp_accuracy": 0}]})";

EvaluationSummary summary_of(const std::string& text) {
  const TempFolder temp;
  return read_evaluation_summary(temp.write("summary.json", text));
}

TEST(EvaluationTable, ShowsMeansWithErrorsAndMarksTheWorstGroup) {
  const std::string rule = std::string(85, '-') + "\n";
  const std::string expected = "group  pairs  left out              loss  reward accuracy  log-prob accuracy\n" + rule +
                               "India      4         0  0.5000 +- 0.0100   0.750 +- 0.250     0.500 +- 0.289\n"
                               "Peru       1         1       1.1250 +- \u2013       0.000 +- \u2013         0.000 +- "
                               "\u2013  < worst\n" +
                               rule + "all        5         1  0.6250 +- 0.0125   0.600 +- 0.240     0.400 +- 0.240\n";
  EXPECT_EQ(evaluation_table(summary_of(kSummary), Colors::kOff, Glyphs::kAscii), expected);
}

TEST(EvaluationTable, CsvHasEveryNumberInAColumnOfItsOwn) {
  EXPECT_NE(evaluation_json(summary_of(kSummary), "pairs.jsonl").find("\n  \"pairs_file\": \"pairs.jsonl\"\n}\n"),
            std::string::npos);
  EXPECT_EQ(evaluation_markup(summary_of(kSummary), TableFormat::kCsv),
            "group,pairs,left_out,loss,loss error,reward accuracy,reward accuracy error,log-prob accuracy,log-prob "
            "accuracy error\n"
            "India,4,0,0.5,0.01,0.75,0.25,0.5,0.288675\n"
            "Peru,1,1,1.125,,0,,0,\n"
            "(all pairs),5,1,0.625,0.0125,0.6,0.24,0.4,0.24\n");
}

TEST(EvaluationTable, MarkdownAndLatexSayBelowTheTableWhatIsLeftOut) {
  const EvaluationSummary summary = summary_of(kSummary);
  const std::string markdown = evaluation_markup(summary, TableFormat::kMarkdown);
  EXPECT_TRUE(markdown.ends_with("\n\n1 of 6 pairs are left out; the first: too long\n")) << markdown;
  EXPECT_NE(markdown.find("| **Peru** | **1** | **1** | **1.1250 \u00b1 \u2013** |"), std::string::npos) << markdown;
  const std::string latex = evaluation_markup(summary, TableFormat::kLatex);
  EXPECT_TRUE(latex.ends_with("\\end{tabular}\n% 1 of 6 pairs are left out; the first: too long\n")) << latex;
  EvaluationSummary shortened = summary;
  shortened.shortened = 2;
  EXPECT_EQ(left_out_text(shortened), "1 of 6 pairs are left out; the first: too long\n2 of 5 pairs are shortened");
}

TEST(EvaluationTable, LeavesOutColumnsWithoutValues) {
  const std::string table =
      evaluation_table(summary_of(R"({"all": {"name": "all", "pairs": 1, "dropped": 0, "loss": 2.5},
                     "groups": [{"name": "all", "pairs": 1, "dropped": 0, "loss": 2.5}]})"),
                       Colors::kOff, Glyphs::kUnicode);
  EXPECT_EQ(table.find("accuracy"), std::string::npos);
  EXPECT_EQ(table.find("left out"), std::string::npos);
  EXPECT_EQ(table.find("worst"), std::string::npos) << "one group is not the worst of several";
  EXPECT_NE(table.find("2.5000"), std::string::npos);
}

// A loss that is not finite stands as null in the summary, which was refused as a file that the ranks had not written.
TEST(EvaluationTable, AGroupWhoseLossIsNullIsTheWorst) {
  const std::string table =
      evaluation_table(summary_of(R"({"all": {"name": "all", "pairs": 3, "dropped": 0, "loss": null},
                     "groups": [{"name": "a", "pairs": 1, "dropped": 0, "loss": 2.5},
                                {"name": "b", "pairs": 1, "dropped": 0, "loss": null},
                                {"name": "c", "pairs": 1, "dropped": 0, "loss": 9.5}]})"),
                       Colors::kOff, Glyphs::kAscii);
  const std::size_t row = table.find("b ");
  ASSERT_NE(row, std::string::npos) << table;
  const std::string of_b = table.substr(row, table.find('\n', row) - row);
  EXPECT_NE(of_b.find("nan"), std::string::npos) << table;
  EXPECT_NE(of_b.find("< worst"), std::string::npos) << table;
}

TEST(EvaluationTable, AFileThatIsNoSummaryIsNamed) {
  for (const char* text : {"", "[]", "{}", R"({"all": {"name": 3}, "groups": []})", "{\"all\""}) {
    EXPECT_THROW(summary_of(text), PeerError) << text;
  }
}

}  // namespace evaluation_table_test
}  // namespace equipoise
