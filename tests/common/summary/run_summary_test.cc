#include "common/summary/run_summary.h"

#include <gmock/gmock.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "common/summary/report_page.h"
#include "common/summary/run_files.h"
#include "common/summary/trainer_state.h"
#include "tests/common/ledger/example_ledger.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kJob =
    "{name: run, model: {path: /models/base}, data: {train: /data/train.jsonl, validation: /data/validation.jsonl}, "
    "robust: {mode: group_robust}, evaluation: {every_steps: 10}, output: /runs/run, training: {max_steps: 30";

class RunSummaries : public testing::Test {
 protected:
  void add(json line) { lines_ += line.dump() + "\n"; }
  // The order of keys is that of the file: "split" comes first.
  void evaluated(int step, double loss, double accuracy, const std::string& further = "") {
    lines_ += R"({"split":"validation","step":)" + std::to_string(step) + R"(,"eval_loss":)" + std::to_string(loss) +
              R"(,"group_loss":{"a":0.25,"b":)" + std::to_string(loss) +
              R"(},"group_loss_error":{"b":0.125},"group_accuracy":{"a":1.0,"b":)" + std::to_string(accuracy) +
              R"(},"group_count":{"a":7,"b":3},"group_weight":{"a":0.5,"b":0.5},"worst_group_loss":)" +
              std::to_string(loss) + further + "}\n";
  }
  void stepped(int step) {
    add({{"step", step},
         {"epoch", step / 10.0},
         {"loss", 1.0 / step},
         {"rewards/margins", 0.5},
         {"pairs_per_second", 3.5 * step},
         {"num_tokens", 100 * step},
         {"group_loss", {{"a", 0.5}, {"b", nullptr}}},
         {"group_weight", {{"a", 0.25}, {"b", 0.75}}},
         {"group/a/loss", 0.5}});
  }
  RunSummary read(const std::string& training = "", const ReadingLimits& limits = {}) {
    folder_.write("run/job.yaml", kJob + training + "}}\n");
    folder_.write("run/metrics.jsonl", lines_);
    return read_run_summary(folder_.path() / "run", {}, limits);
  }

  TempFolder folder_;
  std::string lines_;
};

TEST_F(RunSummaries, HaveTheFirstAndTheLastEvaluation) {
  evaluated(0, 0.75, 0.5);
  for (int step = 1; step <= 20; ++step) stepped(step);
  evaluated(20, 0.5, 0.875);
  lines_ += R"({"split":"validation","step":30,"eval_lo)";
  const RunSummary summary = read();
  ASSERT_TRUE(summary.before && summary.after);
  EXPECT_EQ(summary.before->step, 0);
  EXPECT_EQ(summary.after->step, 20);
  EXPECT_EQ(summary.after->worst(), "b");
  EXPECT_EQ(summary.after->groups.at("b").loss.value, 0.5);
  EXPECT_EQ(summary.after->groups.at("b").loss.error, 0.125);
  EXPECT_EQ(summary.after->groups.at("a").loss.error, std::nullopt);
  EXPECT_EQ(summary.after->groups.at("b").pairs, 3);
  EXPECT_EQ(summary.after->lowest_accuracy().value, 0.875);
  EXPECT_EQ(summary.steps, 20);
  EXPECT_EQ(summary.tokens, 2000);
  EXPECT_FALSE(summary.has_ended);
  EXPECT_THAT(summary.weights, ElementsAre(std::pair("a", 0.5), std::pair("b", 0.5)));
  EXPECT_THAT(summary.notes, ElementsAre(HasSubstr("ledger.bin is not there")));
}

// 500 of them are not looked into.
TEST_F(RunSummaries, CountStepsThatChangedNothing) {
  for (int step = 1; step <= 1000; ++step) {
    lines_ += R"({"step":)" + std::to_string(step) + R"(,"epoch":0.5,"loss":0.5,"learning_rate":1e-06)" +
              (step % 4 == 0 ? R"(,"skipped":true)" : "") +
              R"(,"group_loss":{"a\",\"skipped\":true":0.5},"group_weight":{"a\",\"skipped\":true":1}})" + "\n";
  }
  const RunSummary summary = read();
  EXPECT_EQ(summary.step_lines, 1000);
  EXPECT_EQ(summary.skipped_lines, 250);
  EXPECT_THAT(report_page(summary), HasSubstr(R"("skipped":[250,1000])"));
}

TEST_F(RunSummaries, HaveTheBestEvaluationWhereItsParametersAreKept) {
  evaluated(0, 0.75, 0.5);
  evaluated(10, 0.5, 0.5);
  evaluated(15, 0.125, 0.5);  // which people have asked for
  evaluated(20, 0.49, 0.5);   // not better by min_delta
  for (int step = 1; step <= 30; ++step) stepped(step);
  evaluated(30, 0.625, 0.5);
  const std::string stopping = ", early_stopping: {metric: worst_group_loss, mode: min, min_delta: 0.05";
  const RunSummary kept = read(stopping + ", keep_best: true}");
  EXPECT_EQ(kept.after->step, 10);
  EXPECT_EQ(kept.best_metric, 0.5);
  EXPECT_EQ(kept.best_step, 10);
  EXPECT_EQ(read(stopping + "}").after->step, 30);
  EXPECT_EQ(read().best_metric, std::nullopt);
}

TEST_F(RunSummaries, JudgeByTheNumbersOfOneFileToo) {
  for (const auto& [step, loss] : {std::pair(0, 0.5), std::pair(10, 0.25), std::pair(20, 0.75)}) {
    evaluated(step, 1, 0.5);
    lines_ += R"({"split":"validation/asia","step":)" + std::to_string(step) + R"(,"eval_asia_loss":)" +
              std::to_string(loss) + R"(,"worst_group_loss":)" + std::to_string(loss) + "}\n";
  }
  stepped(20);
  EXPECT_EQ(read(", early_stopping: {metric: eval_asia_loss, mode: max}").best_step, 20);
  EXPECT_EQ(read(", early_stopping: {metric: asia_worst_group_loss, mode: min}").best_step, 10);
}

// A fork's ledger begins with its own first attempt, which went on from the checkpoint of another job.
TEST_F(RunSummaries, KnowTheJobWhoseCheckpointTheRunBeganWith) {
  stepped(20);
  read();
  const auto parent_where = [&](const std::string& origin_of_first) {
    LedgerWriter ledger(folder_.path() / "run" / kLedgerName, {}, std::numeric_limits<std::int64_t>::max());
    ledger.start(example_start());
    for (const std::int64_t generation : {1, 2}) {
      LedgerAttempt attempt = example_attempt(generation);
      const std::string origin = generation == 1 ? origin_of_first : attempt.job_id;
      if (!origin.empty())
        attempt.origin = {.job_id = origin, .step = 10 * generation, .manifest = {}, .parameters = {}};
      ledger.attempt(attempt);
    }
    ledger.end(example_end(20, example_weights().alpha_K()));
    return read_run_summary(folder_.path() / "run").parent;
  };
  const auto parent = parent_where("whole-0a1b2c3d");
  ASSERT_TRUE(parent);
  EXPECT_EQ(parent->job_id, "whole-0a1b2c3d");
  EXPECT_EQ(parent->step, 10);
  EXPECT_FALSE(parent_where("")) << "the second attempt went on from one of the job's own";
  EXPECT_FALSE(parent_where(example_attempt(1).job_id)) << "the ledger was lost, and began again";
}

TEST_F(RunSummaries, BecomeTheStateOfATrainer) {
  evaluated(0, 0.75, 0.5);
  stepped(1);
  add({{"split", "test"}, {"step", 1}});
  lines_ += R"({"split":"settings","step":1,"setting":"trade_off","from":1.0,"to":0.5,"requester":"ann"})"
            "\n";
  stepped(2);
  const RunSummary summary = read();
  const json state = json::parse(trainer_state(summary));
  EXPECT_EQ(state["global_step"], 2);
  EXPECT_EQ(state["best_metric"], nullptr);
  ASSERT_EQ(state["log_history"].size(), 3U);
  EXPECT_EQ(state["log_history"][0]["eval_loss"], 0.75);
  EXPECT_EQ(state["log_history"][1], json({{"epoch", 0.1},
                                           {"group/a/loss", 0.5},
                                           {"loss", 1.0},
                                           {"num_tokens", 100},
                                           {"rewards/margins", 0.5},
                                           {"step", 1}}));
  ASSERT_EQ(summary.changes.size(), 1U);
  EXPECT_EQ(summary.changes[0].to, 0.5);
  EXPECT_EQ(summary.changes[0].requester, "ann");
}

TEST_F(RunSummaries, AreBoundedForManyStepsAndGroups) {
  json losses, weights;
  for (int group = 0; group < 4096; ++group) {
    losses["group " + std::to_string(group)] = group;
    weights["group " + std::to_string(group)] = 1.0 / 4096;
  }
  const std::string groups = R"(,"group_loss":)" + losses.dump() + R"(,"group_weight":)" + weights.dump() + "}\n";
  lines_ = R"({"split":"validation","step":0,"eval_loss":0.5)" + groups;
  for (int step = 1; step <= 1000; ++step) lines_ += R"({"step":)" + std::to_string(step) + R"(,"loss":0.5)" + groups;
  lines_ += R"({"split":"validation","step":1000,"eval_loss":0.5)" + groups;
  // As a file of many GiB is read.
  const RunSummary summary = read("", {.whole = 1000,
                                       .sampled = std::size_t{32} << 20,
                                       .samples = 100,
                                       .longest_line = std::size_t{4} << 20,
                                       .beginning = std::size_t{1} << 20,
                                       .end = std::size_t{1} << 20});
  EXPECT_TRUE(summary.is_sampled);
  EXPECT_EQ(summary.before->step, 0);
  EXPECT_EQ(summary.after->step, 1000);
  EXPECT_EQ(summary.after->worst(), "group 4095");
  const std::string page = report_page(summary);
  EXPECT_LT(page.size(), std::size_t{4} << 20);
  EXPECT_THAT(page, HasSubstr(R"("curved":["group 4095","group 4094",)"));
  EXPECT_LT(trainer_state(summary).size(), std::size_t{1} << 20);
}

TEST_F(RunSummaries, MakePagesThatNoNameCanEnd) {
  lines_ = R"({"split":"validation","step":0,"eval_loss":0.5,"group_loss":{"</script><b>{{script}}":1.0}})"
           "\n";
  const std::string page = report_page(read());
  EXPECT_THAT(page, HasSubstr(R"(\u003c/script>\u003cb>{{script}})"));
  EXPECT_THAT(page, Not(HasSubstr("</script><b>")));
  EXPECT_THAT(page, HasSubstr("default-src 'none'; script-src 'sha256-"));
  EXPECT_THAT(page, Not(HasSubstr("/data/"))) << "no path of this machine";
  EXPECT_THAT(page, Not(HasSubstr("/models/")));
  EXPECT_THAT(page, Not(HasSubstr("/runs/")));
}

TEST_F(RunSummaries, AreOfRunsAlone) {
  EXPECT_THAT([&] { read_run_summary(folder_.path()); },
              testing::ThrowsMessage<std::invalid_argument>(HasSubstr("job.yaml")));
}

TEST_F(RunSummaries, LeaveACardThatIsThereAsItIs) {
  stepped(1);
  read();
  const auto run = folder_.path() / "run";
  RunFiles files = write_run_files({.run = run});
  EXPECT_THAT(files.note, HasSubstr("no final/"));
  EXPECT_EQ(files.written.size(), 2U);
  std::filesystem::create_directory(run / "final");
  EXPECT_EQ(write_run_files({.run = run}).written.size(), 3U);
  folder_.write("run/final/README.md", "by hand\n");
  files = write_run_files({.run = run});
  EXPECT_THAT(files.note, HasSubstr("left as it is"));
  EXPECT_EQ(read_file(run / "final/README.md"), "by hand\n");
  write_run_files({.run = run, .existing_card = ExistingCard::kReplaced});
  EXPECT_THAT(read_file(run / "final/README.md"), HasSubstr("# run"));
}

}  // namespace
}  // namespace equipoise
