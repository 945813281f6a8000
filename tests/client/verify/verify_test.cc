#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "client/verify/metrics_check.h"
#include "client/verify/run_audit.h"
#include "client/verify/window.h"
#include "client/verify/window_plan.h"
#include "common/base/split_mix64.h"
#include "common/ledger/ledger_reader.h"
#include "common/ledger/receipt.h"
#include "tests/client/support/command_run.h"
#include "tests/client/support/example_checkpoint.h"
#include "tests/common/ledger/example_ledger.h"
#include "tests/support/refusal.h"

namespace equipoise {
namespace verify_test {

namespace fs = std::filesystem;

using testing::HasSubstr;
using testing::StartsWith;

constexpr std::int64_t kSteps = 300;
constexpr std::int64_t kCheckpointStep = 120;
const std::string kJobFile = "name: even\n";

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// What a job of three groups leaves: every file that is checked, written by what writes it in a run, but for the lines
// of metrics.jsonl, which are as those of a run.
class VerifyVerb : public testing::Test {
 protected:
  VerifyVerb() { write_run(true); }

  void write_run(bool records_checkpoint) {
    fs::create_directories(run_);
    folder_.write("run/job.yaml", kJobFile);
    LedgerAttempt attempt = example_attempt(1);
    attempt.job_file = sha256_of(bytes_of(kJobFile));
    LedgerWriter ledger(run_ / kLedgerName);
    GroupWeights weights = example_weights();
    ledger.start(example_start());
    ledger.attempt(attempt);
    std::string lines;
    add_line(lines, 0, weights, true);
    for (std::int64_t step = 0; step < kSteps; ++step) {
      write_steps(ledger, weights, step, step + 1);
      add_line(lines, step + 1, weights, false);
      if (step + 1 != kCheckpointStep) continue;
      const LedgerCheckpoint checkpoint = write_run_checkpoint(ledger.seal(), weights, lines);
      if (records_checkpoint) ledger.checkpoint(checkpoint);
    }
    add_line(lines, kSteps, weights, true);
    folder_.write("run/metrics.jsonl", lines);
    folder_.write("run/final/theta.json", "{}\n");
    LedgerEnd end = example_end(kSteps, weights.alpha_K());
    end.files = measured_files(run_ / "final");
    end.metrics_bytes = std::ssize(lines);
    end.metrics_sha256 = sha256_of(bytes_of(lines));
    end_ = ledger.end(end);
    folder_.write("run/receipt.json", receipt_text(example_start(), attempt, end, end_));
  }

  static void add_line(std::string& lines, std::int64_t step, const GroupWeights& weights, bool is_evaluation) {
    nlohmann::ordered_json line;
    if (is_evaluation) line["split"] = "validation";
    line["step"] = step;
    const std::vector<double> alpha_K = weights.alpha_K();
    const std::vector<std::string> names = example_start().group_names;
    for (std::size_t g = 0; g < names.size(); ++g) line["group_weight"][names[g]] = alpha_K[g];
    if (!is_evaluation) {
      for (std::size_t g = 0; g < names.size(); ++g) line["group/" + names[g] + "/weight"] = alpha_K[g];
    }
    lines += line.dump() + "\n";
  }

  LedgerCheckpoint write_run_checkpoint(const LedgerPosition& sealed, const GroupWeights& weights,
                                        const std::string& lines) const {
    CheckpointManifest manifest = example_manifest(kCheckpointStep);
    const std::string theta = "theta of a run";
    manifest.weights = weights.state();
    manifest.metrics_bytes = std::ssize(lines);
    manifest.metrics_sha256 = sha256_of(bytes_of(lines));
    manifest.ledger_bytes = sealed.bytes;
    manifest.ledger_chain = sealed.chain;
    manifest.files = {{.name = "theta.safetensors", .bytes = std::ssize(theta), .sha256 = sha256_of(bytes_of(theta))}};
    folder_.write("run/checkpoints/step-120/theta.safetensors", theta);
    folder_.write("run/checkpoints/step-120/manifest.json", manifest_text(manifest));
    return {.generation = 1,
            .step = kCheckpointStep,
            .manifest = manifest_digest(manifest),
            .parameters = parameters_digest(manifest)};
  }

  CommandRun verify(std::vector<std::string> further = {}) const {
    std::vector<std::string> arguments = {"verify", run_.string()};
    arguments.insert(arguments.end(), further.begin(), further.end());
    return run(std::move(arguments));
  }
  // The one line about a file that has another content now, which it has not afterwards.
  std::string fault_with(const std::string& file, const std::string& content) const {
    const std::string before = read_file(run_ / file);
    folder_.write("run/" + file, content);
    const CommandRun result = verify();
    folder_.write("run/" + file, before);
    if (result.code == ExitCode::kSuccess) return "accepted";
    EXPECT_EQ(result.code, ExitCode::kFailure) << result.err;
    return result.err;
  }

  const TempFolder folder_;
  const fs::path run_ = folder_ / "run";
  LedgerPosition end_;
};

TEST_F(VerifyVerb, ARunThatIsAsItWasIsShownCheckByCheck) {
  const CommandRun result = verify();
  EXPECT_EQ(result.code, ExitCode::kSuccess) << result.err;
  for (const std::string check :
       {"ledger", "weights", "job.yaml", "metrics.jsonl", "checkpoints", "final/", "receipt.json"}) {
    EXPECT_THAT(result.out, HasSubstr("\n" + check + " ")) << check;
  }
  EXPECT_THAT(result.out, HasSubstr("follow from S_g and n_g of 300 steps"));
  EXPECT_THAT(result.out, HasSubstr("302 lines as recorded"));
  EXPECT_THAT(result.out, HasSubstr(hex_text(end_.chain)));
  EXPECT_EQ(verify({"--quiet"}).out, "");
}

TEST_F(VerifyVerb, TheChainThatWasKeptElsewhereHasToBeItsOwn) {
  const std::string chain = hex_text(end_.chain);
  EXPECT_EQ(verify({"--chain", chain}).code, ExitCode::kSuccess);
  const CommandRun other = verify({"--chain", std::string(64, '0')});
  EXPECT_EQ(other.code, ExitCode::kFailure);
  EXPECT_THAT(other.err, HasSubstr("its chain is " + chain + ", expected 0000"));
  EXPECT_EQ(verify({"--chain", "12"}).code, ExitCode::kBadInput);
}

TEST_F(VerifyVerb, EveryChangedWeightOfEveryLineIsFound) {
  const std::string content = read_file(run_ / "metrics.jsonl");
  SplitMix64 random(7);
  for (int i = 0; i < 100; ++i) {
    // A digit of a weight becomes another one.
    std::size_t at = content.find(R"("group_weight")", random.next() % (content.size() * 9 / 10));
    at = content.find_first_of("123456789", content.find("0.", at) + 2);
    std::string changed = content;
    changed[at] = changed[at] == '9' ? '1' : static_cast<char>(changed[at] + 1);
    const std::string fault = fault_with("metrics.jsonl", changed);
    EXPECT_THAT(fault, HasSubstr("metrics.jsonl:")) << at;
    EXPECT_THAT(fault, HasSubstr("the ledger gives")) << at;
  }
}

// It was put there later: what a run writes of a checkpoint is on record before what comes after it.
TEST_F(VerifyVerb, ACheckpointThatIsNotOnRecordIsFound) {
  write_run(false);
  const CommandRun result = verify();
  EXPECT_EQ(result.code, ExitCode::kFailure);
  EXPECT_THAT(result.err,
              HasSubstr("step-120/manifest.json: is not on record in the ledger, which has what came after it"));
  fs::remove_all(run_ / "checkpoints");
  EXPECT_EQ(verify().code, ExitCode::kSuccess);
}

TEST_F(VerifyVerb, NamesTheLineOfAChangedWeight) {
  std::string content = read_file(run_ / "metrics.jsonl");
  std::size_t at = 0;
  for (int line = 1; line < 50; ++line) at = content.find('\n', at) + 1;
  at = content.find("\"group/south/weight\":", at) + std::string("\"group/south/weight\":").size();
  content.replace(at, content.find_first_of(",}", at) - at, "0.125");
  EXPECT_THAT(fault_with("metrics.jsonl", content),
              HasSubstr("run/metrics.jsonl:50: \"group/south/weight\" is 0.125, the ledger gives "));
}

TEST_F(VerifyVerb, EveryLineThatIsDroppedDoubledOrSwappedIsFound) {
  std::vector<std::string> lines;
  std::string rest = read_file(run_ / "metrics.jsonl");
  for (std::size_t end; (end = rest.find('\n')) != std::string::npos; rest.erase(0, end + 1)) {
    lines.push_back(rest.substr(0, end + 1));
  }
  const auto joined = [](const std::vector<std::string>& all) {
    std::string text;
    for (const std::string& line : all) text += line;
    return text;
  };
  for (std::size_t i = 0; i + 1 < lines.size(); i += 25) {
    std::vector<std::string> dropped = lines, doubled = lines, swapped = lines;
    dropped.erase(dropped.begin() + static_cast<std::ptrdiff_t>(i));
    doubled.insert(doubled.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    std::swap(swapped[i], swapped[i + 1]);
    EXPECT_THAT(fault_with("metrics.jsonl", joined(dropped)), HasSubstr("metrics.jsonl")) << i;
    EXPECT_THAT(fault_with("metrics.jsonl", joined(doubled)), HasSubstr("metrics.jsonl")) << i;
    EXPECT_THAT(fault_with("metrics.jsonl", joined(swapped)), HasSubstr("metrics.jsonl:")) << i;
  }
}

TEST_F(VerifyVerb, ChangedBitsOfEveryFileAreFoundWithItsName) {
  SplitMix64 random(3);
  for (const std::string file : {"ledger.bin", "job.yaml", "metrics.jsonl", "receipt.json", "final/theta.json",
                                 "checkpoints/step-120/theta.safetensors", "checkpoints/step-120/manifest.json"}) {
    const std::string content = read_file(run_ / file);
    for (int i = 0; i < 40; ++i) {
      std::string changed = content;
      const std::uint64_t bit = random.next() % (8 * content.size());
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_THAT(fault_with(file, changed), HasSubstr(file)) << "bit " << bit;
    }
  }
}

TEST_F(VerifyVerb, ALedgerThatWasCutOffOrRewrittenIsFound) {
  const std::string content = read_file(run_ / kLedgerName);
  std::vector<std::pair<std::size_t, LedgerKind>> records;
  LedgerReader reader(run_ / kLedgerName);
  LedgerRecord record;
  while (reader.next(record)) records.emplace_back(static_cast<std::size_t>(record.offset), record.kind);
  // Before the end, after a seal: all that is left is in order by itself.
  std::size_t cuts = 0;
  for (std::size_t i = 3; i < records.size(); ++i) {
    if (records[i - 1].second != LedgerKind::kSeal) continue;
    ++cuts;
    EXPECT_THAT(fault_with(kLedgerName, content.substr(0, records[i].first)), HasSubstr("it was cut off")) << i;
  }
  EXPECT_EQ(cuts, 3U);  // after the attempt, the checkpoint, step 256
  // One that another run has written, whole: of a step more.
  const TempFolder other;
  write_ledger(other / "ledger.bin", kSteps + 1);
  EXPECT_NE(fault_with(kLedgerName, read_file(other / "ledger.bin")), "accepted");
}

TEST_F(VerifyVerb, PassesByTheModelCardWhichPeopleEdit) {
  folder_.write("run/final/README.md", "by hand");
  EXPECT_EQ(verify().code, ExitCode::kSuccess);
}

TEST_F(VerifyVerb, FilesThatAreGoneOrWereAddedAreFound) {
  folder_.write("run/final/more.json", "");
  EXPECT_THAT(verify().err, HasSubstr("final/more.json: was added after the run"));
  fs::remove(run_ / "final/more.json");
  fs::rename(run_ / "final/theta.json", folder_ / "theta.json");
  EXPECT_THAT(verify().err, HasSubstr("final/theta.json: is not there"));
  fs::rename(folder_ / "theta.json", run_ / "final/theta.json");
  fs::remove(run_ / "receipt.json");
  EXPECT_THAT(verify().err, HasSubstr("receipt.json: is not there"));
}

TEST_F(VerifyVerb, WhatIsNoRunIsBadInput) {
  EXPECT_EQ(run({"verify", folder_ / "none"}).code, ExitCode::kBadInput);
  EXPECT_THAT(run({"verify", folder_.path().string()}).err, HasSubstr("has no ledger.bin"));
  EXPECT_EQ(verify({"--steps", "20-10"}).code, ExitCode::kBadInput);
}

TEST_F(VerifyVerb, StepsThatCannotBeComputedAgainSayWhy) {
  EXPECT_THAT(verify({"--steps", "301"}).err, HasSubstr("the ledger has steps 1 to 300"));
  RunAudit audit = audit_run(run_, {});
  ASSERT_EQ(audit.faults(), 0U);
  const auto why = [&audit] { return refusal_of([&audit] { plan_window(audit, {.first = 1, .last = 2}, "/again"); }); };
  audit.attempts.front().attempt.device = "cuda";
  EXPECT_THAT(why(), HasSubstr("steps 1 to 2 cannot be computed again: steps 1 to 300 were trained on cuda"));
  audit.attempts.front().attempt.device = "cpu";
  EXPECT_EQ(why(), "accepted");
  audit.start.first_step = 1;
  EXPECT_THAT(why(), HasSubstr("the ledger has steps 2 to 300"));
  const auto later = refusal_of([&audit] { plan_window(audit, {.first = 10, .last = 20}, "/again"); });
  EXPECT_THAT(later, HasSubstr("no checkpoint of an earlier step is there, and the start is not on record"));
}

TEST_F(VerifyVerb, AWindowBeginsWithTheNewestCheckpointBeforeIt) {
  const RunAudit audit = audit_run(run_, {});
  const WindowPlan plan = plan_window(audit, {.first = 121, .last = 130}, "/again");
  ASSERT_EQ(plan.parts.size(), 1U);
  const WindowPart& part = plan.parts.front();
  EXPECT_EQ(part.from, kCheckpointStep);
  EXPECT_EQ(part.ranks, 1);
  EXPECT_FALSE(plan.is_to_end);
  EXPECT_FALSE(part.runs_to_end);
  EXPECT_EQ(part.request.spec().output(), "/again/part-1");
  EXPECT_EQ(part.request.spec().training().resume_from_checkpoint(), (run_ / "checkpoints/step-120").string());
  EXPECT_EQ(part.request.settings_changes_size(), 0);
  const WindowPlan whole = plan_window(audit, {.first = 120, .last = 300}, "/again");
  EXPECT_EQ(whole.parts.front().from, 0);
  EXPECT_TRUE(whole.is_to_end);
  EXPECT_TRUE(whole.parts.front().runs_to_end);
}

TEST_F(VerifyVerb, AWindowHasTheChangesOfSettingsThatItsJobHadAtTheirSteps) {
  RunAudit audit = audit_run(run_, {});
  audit.settings = {{.version = 1, .step = 7, .settings = {{"trade_off", 0.5}}},
                    {.version = 3, .step = 130, .settings = {{"learning_rate", 0.25}, {"max_steps", 300}}},
                    {.version = 4, .step = 131, .settings = CheckpointJson::object()},
                    {.version = 5, .step = 140, .settings = {{"step_size", 2.0}}}};
  const WindowPlan plan = plan_window(audit, {.first = 125, .last = 140}, "/again");
  // Also the one before the checkpoint, which has no trade_off in it.
  const auto& changes = plan.parts.front().request.settings_changes();
  ASSERT_EQ(changes.size(), 2);
  EXPECT_EQ(changes[0].effective_step(), 7);
  EXPECT_EQ(changes[0].settings().trade_off(), 0.5);
  EXPECT_EQ(changes[1].effective_step(), 130);
  EXPECT_EQ(changes[1].version(), 2);
  EXPECT_EQ(changes[1].settings().learning_rate(), 0.25);
  EXPECT_EQ(changes[1].settings().max_steps(), 300);
  EXPECT_EQ(plan.changes, 1U);
}

TEST_F(VerifyVerb, AWindowIsTrainedOnAsManyRanksAsEachOfItsAttemptsHad) {
  RunAudit audit = audit_run(run_, {});
  const auto go_on = [&audit](std::int64_t step, int ranks, const std::string& job_id) {
    AuditedAttempt attempt = audit.attempts.front();
    attempt.first_step = step;
    attempt.attempt.plan.world_size = ranks;
    attempt.attempt.job_id = job_id;
    audit.attempts.push_back(attempt);
  };
  const std::string job_id = audit.attempts.front().attempt.job_id;
  go_on(50, 1, job_id);  // alike: one job trains on
  go_on(90, 3, job_id);
  go_on(110, 2, job_id);  // has not done a step
  go_on(110, 1, "again-00000000");
  go_on(120, 2, "again-00000000");
  const WindowPlan plan = plan_window(audit, {.first = 3, .last = 150}, "/again");
  ASSERT_EQ(plan.parts.size(), 4U);
  const auto& [first, second, third, fourth] = std::tie(plan.parts[0], plan.parts[1], plan.parts[2], plan.parts[3]);
  EXPECT_EQ(std::tuple(first.from, first.last, first.ranks), std::tuple(0, 90, 1));
  EXPECT_EQ(std::tuple(second.from, second.last, second.ranks), std::tuple(90, 110, 3));
  EXPECT_EQ(std::tuple(third.from, third.last, third.ranks), std::tuple(110, 120, 1));
  EXPECT_EQ(std::tuple(fourth.from, fourth.last, fourth.ranks), std::tuple(120, 150, 2));
  // A checkpoint that is not there any more is made on the way, by a job that ends a step later.
  EXPECT_TRUE(first.makes_checkpoint && first.runs_to_end);
  EXPECT_EQ(first.request.spec().checkpoint().every_steps(), 90);
  EXPECT_EQ(first.request.settings_changes(0).settings().max_steps(), 91);
  EXPECT_EQ(second.request.spec().training().resume_from_checkpoint(), "/again/part-1/checkpoints/step-90");
  EXPECT_EQ(second.request.settings_changes(0).effective_step(), 90);
  // One that is there is taken.
  EXPECT_FALSE(third.makes_checkpoint || third.runs_to_end);
  EXPECT_EQ(fourth.request.spec().training().resume_from_checkpoint(), (run_ / "checkpoints/step-120").string());
  // A job that had ended there by itself does so again.
  audit.attempts.front().attempt.plan.end_step = audit.attempts[1].attempt.plan.end_step = 90;
  EXPECT_EQ(plan_window(audit, {.first = 3, .last = 150}, "/again").parts.front().request.settings_changes_size(), 0);
}

TEST_F(VerifyVerb, StepsThatAreComputedAgainAreComparedBitByBit) {
  const RunAudit audit = audit_run(run_, {});
  const fs::path again = folder_ / "again/part-1";
  fs::create_directories(again);
  const WindowPlan plan = plan_window(audit, {.first = 10, .last = 40}, folder_ / "again");
  write_ledger(again / kLedgerName, kSteps);
  const AuditLine same = compare_window(audit, run_, plan);
  EXPECT_FALSE(same.is_fault) << same.result;
  EXPECT_THAT(same.result, HasSubstr("from the start: S_g, n_g and weights have the same bits"));
  {
    LedgerWriter ledger(again / kLedgerName);
    GroupWeights weights = example_weights();
    ledger.start(example_start());
    ledger.attempt(example_attempt(1));
    write_steps(ledger, weights, 0, 20);
    const std::vector<std::uint32_t> groups = {0, 2};
    const std::vector<double> losses = {1.5, 0.25}, counts = {2, 1.5};
    ledger.step({.step = 20,
                 .group = groups,
                 .loss_sum = losses,
                 .pair_count = counts,
                 .batch_pairs = 4,
                 .skipped = {},
                 .weight = losses});
  }
  const AuditLine other = compare_window(audit, run_, plan);
  EXPECT_TRUE(other.is_fault);
  EXPECT_EQ(other.what, "steps 10 to 40");
  EXPECT_THAT(other.result, HasSubstr("step 21: loss_sum of \"north\" is "));
  EXPECT_THAT(other.result, HasSubstr(" on record, computed 1.5"));
  write_ledger(again / kLedgerName, 30);
  EXPECT_THAT(compare_window(audit, run_, plan).result, HasSubstr("step 31 was not computed again"));
}

// A run whose steps from some hundred on have no records of their own.
TEST_F(VerifyVerb, BlocksOfStepsAreComputedAgainAsAWhole) {
  constexpr std::int64_t kManySteps = 4096 + 100, kFewBytes = 5000;
  const fs::path run = folder_ / "long", again = folder_ / "again/part-1";
  fs::create_directories(run);
  fs::create_directories(again);
  write_ledger(run / kLedgerName, kManySteps, kFewBytes);
  const RunAudit audit = audit_run(run, {});
  ASSERT_EQ(audit.blocks.size(), 2U);
  const std::int64_t rows = audit.blocks.front().first;
  EXPECT_EQ(audit.blocks.back().end, kManySteps);
  EXPECT_EQ(audit.lines[1].result, "follow from S_g and n_g of " + std::to_string(rows) + " steps, bit for bit; of " +
                                       std::to_string(kManySteps - rows) +
                                       " others the ledger has digests, which --steps compares");
  EXPECT_EQ(plan_window(audit, {.first = 1, .last = rows}, folder_ / "again").window.last, rows);
  const WindowPlan plan = plan_window(audit, {.first = rows - 1, .last = 500}, folder_ / "again");
  EXPECT_EQ(window_text(plan.window), "steps " + std::to_string(rows - 1) + " to 4096");
  write_ledger(again / kLedgerName, kManySteps);
  const AuditLine same = compare_window(audit, run, plan);
  EXPECT_FALSE(same.is_fault) << same.result;
  // One step of the block has another sum, and all weights after it.
  {
    LedgerWriter ledger(again / kLedgerName);
    GroupWeights weights = example_weights();
    ledger.start(example_start());
    ledger.attempt(example_attempt(1));
    write_steps(ledger, weights, 0, 1000);
    const GroupSums sums{.group = {0, 2}, .loss_sum = {1.5, 0.25}, .pair_count = {2, 1.5}, .batch_pairs = 4};
    std::vector<double> weight(2);
    weights.step(sums, {}, weight);
    ledger.step({.step = 1000,
                 .group = sums.group,
                 .loss_sum = sums.loss_sum,
                 .pair_count = sums.pair_count,
                 .batch_pairs = sums.batch_pairs,
                 .skipped = {},
                 .weight = weight});
    write_steps(ledger, weights, 1001, kManySteps);
  }
  const AuditLine other = compare_window(audit, run, plan);
  EXPECT_TRUE(other.is_fault);
  EXPECT_THAT(other.result, HasSubstr("to 4096: S_g or n_g of one of them are others than on record"));
}

TEST(MetricsCheck, PassesByLinesOfStepsThatNothingIsKnownOf) {
  const TempFolder folder;
  const fs::path file = folder.write("metrics.jsonl", R"({"step":1,"group_weight":{"a":0.5,"b":0.5}}
{"step":2,"group_weight":{"a":0.7,"b":0.3}}
{"split":"settings","step":2,"setting":"trade_off","to":0.5}
{"step":3,"group_weight":{"a":0.75,"b":0.25}}
)");
  const std::vector<double> first_K = {0.5, 0.5}, last_K = {0.75, 0.25};
  MetricsCheck check(file, {"a", "b"}, 0, {});
  check.check({.steps_done = 1, .alpha_K = first_K, .mean_loss_K = {}});
  check.pass({.after = 1, .before = 3});
  check.check({.steps_done = 3, .alpha_K = last_K, .mean_loss_K = {}});
  check.finish(true);
  EXPECT_EQ(check.fault(), "");
  EXPECT_EQ(check.lines(), 2);
  EXPECT_EQ(check.lines_passed(), 2);
  const fs::path swapped = folder.write("metrics.jsonl", "{\"step\":3}\n{\"step\":2}\n");
  MetricsCheck other(swapped, {"a", "b"}, 0, {});
  other.pass({.after = 1, .before = 4});
  EXPECT_EQ(other.fault(), "metrics.jsonl:2: is of step 2, expected one of step 3 or a later one");
}

TEST(MetricsCheck, LeavesTheLinesOfTheRunBeforeAloneWhereTheLedgerBeginsInItsMiddle) {
  const TempFolder folder;
  const fs::path file = folder.write("metrics.jsonl", R"({"step":4,"group_weight":{"a":0.5,"b":0.5}}
{"step":5,"group_weight":{"a":0.5,"b":0.5}}
{"step":6,"group_weight":{"a":0.75,"b":0.25}}
)");
  const std::vector<double> begun_K = {0.625, 0.375}, alpha_K = {0.75, 0.25};
  MetricsCheck check(file, {"a", "b"}, 5, {});
  check.check({.steps_done = 5, .alpha_K = begun_K, .mean_loss_K = {}});
  check.check({.steps_done = 6, .alpha_K = alpha_K, .mean_loss_K = {}});
  check.finish(true);
  EXPECT_EQ(check.fault(), "");
  EXPECT_EQ(check.lines(), 1);
  MetricsCheck other(file, {"a", "b"}, 5, {});
  other.check({.steps_done = 6, .alpha_K = begun_K, .mean_loss_K = {}});
  EXPECT_THAT(other.fault(), HasSubstr("metrics.jsonl:3: group_weight of \"a\" is 0.75, the ledger gives 0.625"));
  // One that begins with the run has lines of its own before the first step.
  const fs::path whole = folder.write("whole/metrics.jsonl", "{\"step\":0,\"group_weight\":{\"a\":0.5,\"b\":0.5}}\n");
  MetricsCheck first(whole, {"a", "b"}, 0, {});
  first.check({.steps_done = 0, .alpha_K = begun_K, .mean_loss_K = {}});
  EXPECT_THAT(first.fault(), HasSubstr("metrics.jsonl:1: group_weight of \"a\" is 0.5"));
}

TEST(StepWindows, AreANumberOrTwo) {
  EXPECT_EQ(step_window("7").first, 7);
  EXPECT_EQ(step_window("7").last, 7);
  EXPECT_EQ(step_window("10-20").last, 20);
  for (const char* text : {"", "0", "-3", "3-", "a", "1-2-3", "5-4", "1 - 2", "99999999999999999999"}) {
    EXPECT_THAT(refusal_of([&] { step_window(text); }), StartsWith("--steps is ")) << text;
  }
}

}  // namespace verify_test
}  // namespace equipoise
