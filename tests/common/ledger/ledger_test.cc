#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "common/base/split_mix64.h"
#include "common/ledger/ledger_reader.h"
#include "common/ledger/receipt.h"
#include "tests/common/ledger/example_ledger.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace ledger_test {

using ::testing::HasSubstr;
using ::testing::StartsWith;

namespace fs = std::filesystem;

// Reads all of it with everything that is known of its records: the message of what is wrong, or "accepted".
std::string fault_of(const fs::path& file) {
  return refusal_of([&] {
    LedgerReader reader(file);
    LedgerRecord record;
    std::optional<LedgerReplay> replay;
    LedgerStart start;
    bool has_ended = false;
    while (reader.next(record)) {
      if (has_ended && record.kind != LedgerKind::kSeal) reader.refuse("stands after the end");
      if (record.kind == LedgerKind::kStart) start = start_of_record(record.content);
      if (record.kind == LedgerKind::kAttempt) {
        const LedgerAttempt attempt = attempt_of_record(record.content);
        if (!replay) replay.emplace(start, config_of_job(attempt.job).robust);
      }
      if (record.kind == LedgerKind::kStep) replay.value().step(step_of_bytes(record.content));
      if (record.kind == LedgerKind::kBlock) replay.value().block(block_of_record(record.content));
      if (record.kind == LedgerKind::kEnd) has_ended = true;
      if (record.kind != LedgerKind::kSeal || !replay) continue;
      if (byte_text(replay->take_weights_digest()) != record.content.substr(0, 32)) reader.refuse("other weights");
    }
    const bool is_sealed = reader.sealed().bytes == static_cast<std::int64_t>(fs::file_size(file));
    if (!has_ended || !is_sealed) throw std::invalid_argument("has no end");
  });
}

std::string fault_of_content(const TempFolder& temp, const std::string& content) {
  return fault_of(temp.write("changed.bin", content));
}

TEST(Ledger, AWholeOneReplaysToTheSameWeights) {
  const TempFolder temp;
  const LedgerPosition end = write_ledger(temp / "ledger.bin", 600);
  EXPECT_EQ(fault_of(temp / "ledger.bin"), "accepted");
  EXPECT_EQ(fs::file_size(temp / "ledger.bin"), static_cast<std::uintmax_t>(end.bytes));
  LedgerReader reader(temp / "ledger.bin");
  LedgerRecord record;
  int seals = 0;
  while (reader.next(record)) seals += record.kind == LedgerKind::kSeal ? 1 : 0;
  EXPECT_EQ(seals, 4);  // of the attempt, steps 256 and 512, the end
  EXPECT_EQ(reader.sealed(), end);
}

// Where each record begins, and the end of the file.
std::vector<std::size_t> offsets_of(const fs::path& file) {
  std::vector<std::size_t> offsets;
  LedgerReader reader(file);
  LedgerRecord record;
  while (reader.next(record)) offsets.push_back(static_cast<std::size_t>(record.offset));
  offsets.push_back(fs::file_size(file));
  return offsets;
}

// Beyond the bytes that steps may take.
constexpr std::int64_t kFewBytes = 5000;
constexpr std::int64_t kStepsWithBlocks = 2 * 4096 + 100;

TEST(LedgerBlocks, StandForStepsBeyondTheBytesThatStepsMayTake) {
  const TempFolder temp;
  write_ledger(temp / "ledger.bin", kStepsWithBlocks, kFewBytes);
  write_ledger(temp / "whole.bin", kStepsWithBlocks);
  EXPECT_EQ(fault_of(temp / "ledger.bin"), "accepted");
  EXPECT_LT(fs::file_size(temp / "ledger.bin"), static_cast<std::uintmax_t>(kFewBytes) + 5000);
  // What a block says of its steps is what a ledger with a record of each says.
  LedgerReader reader(temp / "ledger.bin"), whole(temp / "whole.bin");
  LedgerReplay replay(example_start(), config_of_job(kExampleJob).robust);
  LedgerRecord record, other;
  std::vector<std::int64_t> ends;
  std::int64_t steps = 0;
  while (reader.next(record)) {
    if (record.kind == LedgerKind::kStep) ++steps;
    if (record.kind != LedgerKind::kStep && record.kind != LedgerKind::kBlock) continue;
    std::optional<LedgerBlock> block;
    if (record.kind == LedgerKind::kBlock) block = block_of_record(record.content);
    const std::int64_t end = block ? block->first_step + block->steps : steps;
    Sha256 contents;
    replay.take_weights_digest();
    while (replay.steps_done() < end && whole.next(other)) {
      if (other.kind != LedgerKind::kStep) continue;
      replay.step(step_of_bytes(other.content));
      contents.update(other.content);
    }
    if (!block) continue;
    ends.push_back(end);
    EXPECT_EQ(block->contents, contents.finish());
    EXPECT_EQ(block->answered, replay.take_weights_digest());
    EXPECT_EQ(block->weights.log_alpha_K, replay.state().log_alpha_K);
  }
  EXPECT_GT(steps, 50);
  EXPECT_EQ(ends, (std::vector<std::int64_t>{4096, 8192, kStepsWithBlocks}));
}

TEST(LedgerBlocks, AreFewHoweverManyStepsThereAre) {
  std::int64_t blocks = 0;
  std::int64_t step = 0;
  for (; step < 1'000'000'000'000; step = block_end(step)) {
    EXPECT_GT(block_end(step), step);
    EXPECT_LE(block_end(step) - step, std::max<std::int64_t>(4096, step / 1024));
    ++blocks;
  }
  EXPECT_LT(blocks, 30'000);
  EXPECT_TRUE(is_block_end(4096));
  EXPECT_FALSE(is_block_end(4097));
  EXPECT_FALSE(is_block_end(0));
}

TEST(LedgerBlocks, EachOfAThousandChangedBitsAndEveryRecordThatIsDroppedDoubledOrSwappedIsFound) {
  const TempFolder temp;
  write_ledger(temp / "ledger.bin", kStepsWithBlocks, kFewBytes);
  const std::string content = read_file(temp / "ledger.bin");
  SplitMix64 random(4);
  for (int i = 0; i < 1000; ++i) {
    std::string changed = content;
    const std::uint64_t bit = random.next() % (8 * content.size());
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(fault_of_content(temp, changed), "accepted") << "bit " << bit;
  }
  const std::vector<std::size_t> at = offsets_of(temp / "ledger.bin");
  for (std::size_t i = 0; i + 2 < at.size(); ++i) {
    const std::string before = content.substr(0, at[i]), here = content.substr(at[i], at[i + 1] - at[i]);
    const std::string next = content.substr(at[i + 1], at[i + 2] - at[i + 1]), rest = content.substr(at[i + 2]);
    EXPECT_NE(fault_of_content(temp, before + next + rest), "accepted") << "without record " << i + 1;
    EXPECT_NE(fault_of_content(temp, before + here + here + next + rest), "accepted") << "twice record " << i + 1;
    EXPECT_NE(fault_of_content(temp, before + next + here + rest), "accepted") << "swapped record " << i + 1;
  }
}

TEST(LedgerBlocks, OneThatIsOpenWhenItsWriterGoesIsNotThere) {
  const TempFolder temp;
  {
    LedgerWriter ledger(temp / "ledger.bin", {}, 0);
    GroupWeights weights = example_weights();
    ledger.start(example_start());
    ledger.attempt(example_attempt(1));
    write_steps(ledger, weights, 0, 10);
    EXPECT_TRUE(ledger.has_block());
  }
  LedgerReader reader(temp / "ledger.bin");
  LedgerRecord record;
  while (reader.next(record)) EXPECT_NE(record.kind, LedgerKind::kBlock);
  EXPECT_FALSE(reader.is_cut());
  EXPECT_EQ(reader.sealed().bytes, static_cast<std::int64_t>(fs::file_size(temp / "ledger.bin")));
}

TEST(Ledger, AMillionGroupsAreReadOrRefusedInTimeAndMemoryOfTheirBytes) {
  constexpr std::uint32_t kGroups = 1'000'000;
  LedgerStart start = example_start();
  start.group_names.assign(kGroups, "g");
  start.counted_K.assign(kGroups, 1);
  start.population_K.assign(kGroups, 1);
  start.weights.log_alpha_K.assign(kGroups, -1);
  std::vector<std::uint32_t> group(kGroups);
  for (std::uint32_t g = 0; g < kGroups; ++g) group[g] = g;
  const std::vector<double> ones(kGroups, 1);
  const TempFolder temp;
  {
    LedgerWriter ledger(temp / "ledger.bin");
    ledger.start(start);
    ledger.attempt(example_attempt(1));
    ledger.step({.step = 0,
                 .group = group,
                 .loss_sum = ones,
                 .pair_count = ones,
                 .batch_pairs = kGroups,
                 .skipped = {},
                 .weight = ones});
  }
  const std::string fault = fault_of(temp / "ledger.bin");
  EXPECT_NE(fault, "accepted");
  EXPECT_LT(fault.size(), 1000U);
  // A number of groups that the bytes do not have.
  std::string step;
  add_varint(step, 0);
  add_varint(step, std::uint64_t{1} << 40);
  EXPECT_NE(refusal_of([&] { step_of_bytes(step); }), "accepted");
}

TEST(Ledger, SumsAndCountsGiveAlphaOfEveryStepBitByBit) {
  const TempFolder temp;
  write_ledger(temp / "ledger.bin", 300);
  GroupWeights expected = example_weights();
  LedgerReplay replay(example_start(), config_of_job(kExampleJob).robust);
  LedgerReader reader(temp / "ledger.bin");
  LedgerRecord record;
  TempFolder other;
  LedgerWriter ignored(other / "ledger.bin");
  while (reader.next(record)) {
    if (record.kind != LedgerKind::kStep) continue;
    const StoredStep step = step_of_bytes(record.content);
    write_steps(ignored, expected, step.step, step.step + 1);
    replay.step(step);
    for (std::size_t g = 0; g < 3; ++g) {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(replay.alpha_K()[g]), std::bit_cast<std::uint64_t>(expected.alpha_K()[g]));
    }
  }
  EXPECT_EQ(replay.steps_done(), 300);
}

TEST(Ledger, EachOfAThousandChangedBitsIsFound) {
  const TempFolder temp;
  write_ledger(temp / "ledger.bin", 600);
  const std::string content = read_file(temp / "ledger.bin");
  SplitMix64 random(1);
  int found = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string changed = content;
    const std::uint64_t bit = random.next() % (8 * content.size());
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    const std::string fault = fault_of_content(temp, changed);
    found += fault == "accepted" ? 0 : 1;
    EXPECT_NE(fault, "accepted") << "bit " << bit;
  }
  EXPECT_EQ(found, 1000);
}

TEST(Ledger, EveryRecordThatIsDroppedDoubledOrSwappedIsFound) {
  const TempFolder temp;
  write_ledger(temp / "ledger.bin", 300);
  const std::string content = read_file(temp / "ledger.bin");
  const std::vector<std::size_t> at = offsets_of(temp / "ledger.bin");
  for (std::size_t i = 0; i + 1 < at.size(); ++i) {
    const std::string before = content.substr(0, at[i]), here = content.substr(at[i], at[i + 1] - at[i]);
    const std::string after = content.substr(at[i + 1]);
    EXPECT_NE(fault_of_content(temp, before + after), "accepted") << "without record " << i + 1;
    EXPECT_NE(fault_of_content(temp, before + here + here + after), "accepted") << "twice record " << i + 1;
    if (i + 2 >= at.size()) continue;
    const std::string next = content.substr(at[i + 1], at[i + 2] - at[i + 1]);
    const std::string rest = content.substr(at[i + 2]);
    EXPECT_NE(fault_of_content(temp, before + next + here + rest), "accepted") << "swapped record " << i + 1;
  }
}

TEST(Ledger, EveryCutIsFound) {
  const TempFolder temp;
  write_ledger(temp / "ledger.bin", 20);
  const std::string content = read_file(temp / "ledger.bin");
  for (std::size_t size = 0; size < content.size(); ++size) {
    EXPECT_NE(fault_of_content(temp, content.substr(0, size)), "accepted") << size;
  }
}

TEST(Ledger, SaysWhichRecordsAndStepsTheChangeIsAmong) {
  const TempFolder temp;
  write_ledger(temp / "ledger.bin", 600);
  std::string content = read_file(temp / "ledger.bin");
  const std::vector<std::size_t> at = offsets_of(temp / "ledger.bin");
  // Start, attempt, seal, 256 steps, seal: record 300 is a step of the third part. The last byte of its last loss sum.
  content[at[300] - 3] = static_cast<char>(content[at[300] - 3] ^ 1);
  const fs::path file = temp.write("changed.bin", content);
  const std::string fault = refusal_of([&] {
    LedgerReader reader(file);
    LedgerRecord record;
    while (reader.next(record)) {
    }
  });
  EXPECT_THAT(fault, StartsWith(file.string() + ": record 517 (byte "));
  EXPECT_THAT(fault, HasSubstr("seal: does not fit records 261 to 517, steps 257 to 512"));
}

TEST(Ledger, GoesOnWhereACheckpointKnewItAndGivesTheSameSteps) {
  const TempFolder temp;
  LedgerPosition kept;
  {
    LedgerWriter ledger(temp / "ledger.bin");
    GroupWeights weights = example_weights();
    ledger.start(example_start());
    ledger.attempt(example_attempt(1));
    write_steps(ledger, weights, 0, 130);
    kept = ledger.seal();
    write_steps(ledger, weights, 130, 200);  // done again below
  }
  EXPECT_TRUE(ledger_begins_with(temp / "ledger.bin", kept));
  LedgerPosition other = kept;
  other.chain[0] ^= std::byte{1};
  EXPECT_FALSE(ledger_begins_with(temp / "ledger.bin", other));
  other = kept;
  ++other.bytes;
  EXPECT_FALSE(ledger_begins_with(temp / "ledger.bin", other));
  EXPECT_FALSE(ledger_begins_with(temp / "none.bin", kept));
  {
    GroupWeights weights = example_weights();
    LedgerWriter before(temp / "ignored.bin");
    write_steps(before, weights, 0, 130);
    LedgerWriter ledger(temp / "ledger.bin", kept);
    ledger.attempt(example_attempt(2));
    write_steps(ledger, weights, 130, 300);
    ledger.end(example_end(300, weights.alpha_K()));
  }
  EXPECT_EQ(fault_of(temp / "ledger.bin"), "accepted");
  const auto steps_of = [](const fs::path& file) {
    std::vector<std::string> steps;
    LedgerReader reader(file);
    LedgerRecord record;
    while (reader.next(record)) {
      if (record.kind == LedgerKind::kStep) steps.emplace_back(record.content);
    }
    return steps;
  };
  write_ledger(temp / "whole.bin", 300);
  EXPECT_EQ(steps_of(temp / "ledger.bin"), steps_of(temp / "whole.bin"));
}

TEST(Ledger, WhatItsWriterLeavesIsSealed) {
  const TempFolder temp;
  {
    LedgerWriter ledger(temp / "ledger.bin");
    GroupWeights weights = example_weights();
    ledger.start(example_start());
    ledger.attempt(example_attempt(1));
    write_steps(ledger, weights, 0, 10);
  }
  LedgerReader reader(temp / "ledger.bin");
  LedgerRecord record;
  while (reader.next(record)) {
  }
  EXPECT_FALSE(reader.is_cut());
  EXPECT_EQ(reader.sealed().bytes, static_cast<std::int64_t>(fs::file_size(temp / "ledger.bin")));
}

TEST(Ledger, ALengthAsksForNoMemory) {
  const TempFolder temp;
  std::string content(kLedgerMagic);
  content += 's';
  add_varint(content, kLargestRecord);
  const fs::path file = temp.write("ledger.bin", content);
  LedgerReader reader(file);
  LedgerRecord record;
  EXPECT_FALSE(reader.next(record));
  EXPECT_TRUE(reader.is_cut());
  content = std::string(kLedgerMagic) + 's';
  add_varint(content, kLargestRecord + 1);
  LedgerReader larger(temp.write("ledger.bin", content));
  EXPECT_THAT(refusal_of([&] { larger.next(record); }), HasSubstr("record 1 (byte 24), step: has a length over"));
}

TEST(Ledger, OtherFilesAreNone) {
  const TempFolder temp;
  EXPECT_THAT(refusal_in(temp.path(), [&] { LedgerReader(temp / "none.bin"); }), "none.bin: is not there");
  EXPECT_THAT(refusal_in(temp.path(), [&] { LedgerReader(temp.path() / "."); }), HasSubstr("is not a file"));
  EXPECT_THAT(refusal_in(temp.path(), [&] { LedgerReader(temp.write("text", "equipoise ledger, 2    \n")); }),
              "text: is no ledger: its first line is not equipoise ledger, 1");
}

TEST(LedgerRecords, ReadBackToTheSameText) {
  LedgerAttempt attempt = example_attempt(3);
  attempt.origin = {.job_id = "parent-1", .step = 7, .manifest = sha256_of({}), .parameters = sha256_of({})};
  EXPECT_EQ(record_text(attempt_of_record(record_text(attempt))), record_text(attempt));
  auto earlier = CheckpointJson::parse(record_text(attempt));
  earlier["origin"].erase("job_id");
  EXPECT_EQ(attempt_of_record(earlier.dump()).origin->job_id, "") << "as earlier versions wrote it";
  const LedgerStart start = example_start();
  EXPECT_EQ(record_text(start_of_record(record_text(start))), record_text(start));
  const LedgerEnd end = example_end(7, {0.1, 0.2, 0.7});
  EXPECT_EQ(record_text(end_of_record(record_text(end))), record_text(end));
  const LedgerBlock block{.first_step = 3,
                          .steps = 5,
                          .contents = sha256_of({}),
                          .answered = sha256_of({}),
                          .weights = example_start().weights};
  EXPECT_EQ(record_text(block_of_record(record_text(block))), record_text(block));
  const LedgerSettings settings{.version = 2, .step = 9, .settings = {{"step_size", 0.1}}};
  EXPECT_EQ(record_text(settings_of_record(record_text(settings))), record_text(settings));
  const LedgerCheckpoint checkpoint{.generation = 1, .step = 9, .manifest = sha256_of({}), .parameters = sha256_of({})};
  EXPECT_EQ(record_text(checkpoint_of_record(record_text(checkpoint))), record_text(checkpoint));
}

TEST(LedgerRecords, SayWhichFieldIsNoneOfTheirs) {
  EXPECT_THAT(refusal_of([] { checkpoint_of_record(R"({"generation": 1, "step": -1})"); }),
              HasSubstr("step is missing"));
  LedgerBlock block{.weights = example_start().weights};
  EXPECT_THAT(refusal_of([&] { block_of_record(record_text(block)); }), HasSubstr("steps is 0 after 0"));
  block = {.first_step = 1, .steps = std::numeric_limits<std::int64_t>::max(), .weights = block.weights};
  EXPECT_THAT(refusal_of([&] { block_of_record(record_text(block)); }), HasSubstr("expected at least 1"));
  EXPECT_THAT(refusal_of([] { start_of_record("[]"); }), HasSubstr("expected an object"));
  EXPECT_THAT(refusal_of([] { start_of_record(std::string(1 << 20, '[')); }), HasSubstr("expected an object"));
}

TEST(LedgerReplay, SettingsThatChangedTakeEffectFromTheirStepOn) {
  const RobustConfig robust = config_of_job(kExampleJob).robust;
  GroupWeights expected = example_weights();
  LedgerReplay replay(example_start(), robust);
  const GroupSums sums{.group = {0, 1}, .loss_sum = {1, 3}, .pair_count = {2, 2}, .batch_pairs = 4};
  expected.step(sums);
  replay.step({.step = 0, .sums = sums, .skipped = {}});
  expected.set_step_size(0.125);
  EXPECT_THAT(refusal_of([&] {
                replay.change({.version = 1, .step = 2, .settings = {{"step_size", 0.125}}});
              }),
              HasSubstr("step is 2, expected 1"));
  replay.change({.version = 1, .step = 1, .settings = {{"step_size", 0.125}}});
  expected.step(sums);
  replay.step({.step = 1, .sums = sums, .skipped = {}});
  EXPECT_EQ(replay.alpha_K(), expected.alpha_K());
}

TEST(LedgerReplay, AnotherJobHasTheTradeOffOfTheSettingsAgainAndKeepsTheStepSize) {
  const RobustConfig robust = config_of_job(kExampleJob).robust;
  GroupWeights expected = example_weights();
  LedgerReplay replay(example_start(), robust);
  const GroupSums sums{.group = {0, 1}, .loss_sum = {1, 3}, .pair_count = {2, 2}, .batch_pairs = 4};
  expected.set_trade_off(0.25);
  expected.set_step_size(0.125);
  expected.step(sums);
  replay.change({.version = 1, .step = 0, .settings = {{"trade_off", 0.25}, {"step_size", 0.125}}});
  replay.step({.step = 0, .sums = sums, .skipped = {}});
  ASSERT_EQ(replay.alpha_K(), expected.alpha_K());
  GroupWeights unchanged = expected;
  unchanged.step(sums);
  expected.set_trade_off(robust.settings.trade_off);
  expected.step(sums);
  replay.begin_job();
  replay.step({.step = 1, .sums = sums, .skipped = {}});
  EXPECT_EQ(replay.alpha_K(), expected.alpha_K());
  EXPECT_NE(replay.alpha_K(), unchanged.alpha_K());
}

TEST(Receipt, MeasuresTheFilesOfAFolderByName) {
  const TempFolder temp;
  temp.write("final/b", "xy");
  temp.write("final/a/c", "");
  const auto files = measured_files(temp / "final");
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].name, "a/c");
  EXPECT_EQ(files[1].name, "b");
  EXPECT_EQ(files[1].bytes, 2);
  EXPECT_EQ(files[1].sha256, sha256_of(std::as_bytes(std::span(std::string_view("xy")))));
}

}  // namespace ledger_test
}  // namespace equipoise
