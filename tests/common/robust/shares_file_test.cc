#include "common/robust/shares_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace shares_file_test {

namespace fs = std::filesystem;

constexpr std::int64_t kMib = std::int64_t{1} << 20;

SharesHeader header_of(std::size_t groups, std::int64_t budget = 64 * kMib) {
  SharesHeader header{.budget = budget, .groups = {}, .files = {"/data/first.jsonl", "/data/second.parquet"}};
  for (std::size_t g = 0; g < groups; ++g) header.groups.push_back("group " + std::to_string(g));
  return header;
}

// alpha of group g after so many steps: it jumps now and then, each group at steps of its own.
double alpha(std::uint32_t group, std::int64_t steps) {
  return 0.1 + 0.01 * std::sin(0.37 * static_cast<double>(group + 1) * static_cast<double>(steps));
}

// What a step says: every other group is in its batch, each with `pairs` pairs.
std::vector<GroupShares> step_of(std::int64_t step, std::size_t groups, int pairs = 2) {
  std::vector<GroupShares> shares;
  for (std::uint32_t g = static_cast<std::uint32_t>(step % 2); g < groups; g += 2) {
    GroupShares& group = shares.emplace_back();
    group = {.group = g,
             .step = step,
             .loss_sum = 0.25 * static_cast<double>(step) + g,
             .pair_count = 1.5,
             .alpha_before = alpha(g, step - 1),
             .alpha_after = alpha(g, step)};
    std::vector<PairShare> all;
    for (int i = 0; i < pairs; ++i) all.push_back({.file = 1, .row = step * 10 + i, .share = 0.5 + i});
    set_shares(std::move(all), group);
  }
  return shares;
}

void write_steps(SharesWriter& writer, std::int64_t first, std::int64_t last, std::size_t groups, int pairs = 2) {
  for (std::int64_t step = first; step <= last; ++step) writer.add(step, step_of(step, groups, pairs));
}

std::string content(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::int64_t bytes_in(const fs::path& folder) {
  return static_cast<std::int64_t>(fs::file_size(folder / kSharesName) + fs::file_size(folder / kSharesIndexName));
}

SharesReader reader_of(const fs::path& folder) {
  std::string why;
  auto reader = SharesReader::open(folder, why);
  if (!reader) throw std::runtime_error(why);
  return std::move(*reader);
}

TEST(SharesFile, KeepsEveryStepWhileThereIsRoom) {
  const TempFolder folder;
  SharesWriter writer(folder.path(), header_of(5), 0);
  write_steps(writer, 1, 100, 5, 12);
  const SharesReader reader = reader_of(folder.path());
  EXPECT_EQ(reader.header(), header_of(5));
  EXPECT_EQ(reader.blocks(), 100);
  for (const std::int64_t step : {1, 2, 57, 100}) {
    const auto block = reader.block(reader.find(step));
    ASSERT_TRUE(block);
    EXPECT_EQ(block->first, step);
    EXPECT_EQ(block->last, step);
    const std::vector<GroupShares> written = step_of(step, 5, 12);
    ASSERT_EQ(block->groups.size(), written.size());
    for (std::size_t i = 0; i < written.size(); ++i) {
      const GroupShares &read = block->groups[i], &wanted = written[i];
      EXPECT_EQ(read.group, wanted.group);
      EXPECT_EQ(read.step, step);
      EXPECT_EQ(read.loss_sum, wanted.loss_sum);
      EXPECT_EQ(read.pair_count, wanted.pair_count);
      EXPECT_EQ(read.alpha_before, wanted.alpha_before);
      EXPECT_EQ(read.alpha_after, wanted.alpha_after);
      EXPECT_EQ(read.pairs, 12);
      EXPECT_EQ(read.rest, wanted.rest);
      ASSERT_EQ(read.top.size(), kTopPairs);
      EXPECT_EQ(read.top[0].file, 1u);
      EXPECT_EQ(read.top[0].row, wanted.top[0].row);
      EXPECT_EQ(read.top[0].share, wanted.top[0].share);
    }
  }
  EXPECT_EQ(reader.find(101), -1);
}

// Beyond the first half of the room each group keeps the step of its largest move in a block.
TEST(SharesFile, KeepsOfLongBlocksTheLargestMoveOfEachGroup) {
  constexpr std::size_t kGroups = 20;
  constexpr std::int64_t kSteps = 20'000;
  const TempFolder folder;
  SharesWriter writer(folder.path(), header_of(kGroups, kMib), 0);
  write_steps(writer, 1, kSteps, kGroups);
  writer.write_open();
  const SharesReader reader = reader_of(folder.path());
  std::int64_t next = 1;
  for (std::int64_t number = 0; number < reader.blocks(); ++number) {
    const auto block = reader.block(number);
    ASSERT_TRUE(block);
    ASSERT_EQ(block->first, next) << "blocks follow each other";
    next = block->last + 1;
    for (const GroupShares& group : block->groups) {
      const auto move = [&](std::int64_t step) {
        return std::abs(alpha(group.group, step) - alpha(group.group, step - 1));
      };
      for (std::int64_t step = block->first; step <= block->last; ++step) {
        if (step % 2 != group.group % 2) continue;
        ASSERT_LE(move(step), move(group.step)) << group.group << " " << step;
      }
    }
    if (block->last > block->first) {
      EXPECT_EQ(block->groups.size(), kGroups);
    }
  }
  EXPECT_EQ(next, kSteps + 1);
  EXPECT_LT(reader.blocks(), kSteps / 10);
}

TEST(SharesFile, NeverTakesMoreThanItsRoom) {
  for (const std::size_t groups : {2, 300}) {
    const TempFolder folder;
    SharesWriter writer(folder.path(), header_of(groups, kMib), 0);
    for (std::int64_t step = 1; step <= 5000; ++step) {
      writer.add(step, step_of(step, groups, 9));
      if (step % 500 == 0) writer.write_open();
      if (step % 50 == 0) {
        ASSERT_LE(bytes_in(folder.path()), shares_room(kMib, step) + 1) << groups << " " << step;
        ASSERT_EQ(bytes_in(folder.path()), writer.bytes());
      }
    }
  }
  EXPECT_EQ(shares_room(64, 1), 32);
  EXPECT_EQ(shares_room(64, std::int64_t{1} << 32), 64);
  EXPECT_EQ(shares_room(64, std::int64_t{1} << 60), 64);
}

// A run writes a checkpoint after some steps, does more of them and is killed; the next attempt does them again.
TEST(SharesFile, HasTheSameBytesWhereARunWentOnFromACheckpoint) {
  constexpr std::size_t kGroups = 40;
  constexpr std::int64_t kEnd = 4000;
  const TempFolder whole;
  {
    SharesWriter writer(whole.path(), header_of(kGroups, kMib), 0);
    write_steps(writer, 1, kEnd, kGroups);
    writer.write_open();
  }
  for (const std::int64_t checkpoint : {1, 50, 333, 1000, 2048, 3333}) {
    for (const std::int64_t further : {0, 1, 60, 600}) {
      const TempFolder folder;
      {
        SharesWriter writer(folder.path(), header_of(kGroups, kMib), 0);
        write_steps(writer, 1, checkpoint, kGroups);
        writer.write_open();
        write_steps(writer, checkpoint + 1, checkpoint + further, kGroups);
        if (further > 1) writer.write_open();
      }
      SharesWriter writer(folder.path(), header_of(kGroups, kMib), checkpoint);
      write_steps(writer, checkpoint + 1, kEnd, kGroups);
      writer.write_open();
      EXPECT_EQ(content(folder.path() / kSharesName), content(whole.path() / kSharesName)) << checkpoint << further;
      EXPECT_EQ(content(folder.path() / kSharesIndexName), content(whole.path() / kSharesIndexName)) << checkpoint;
    }
  }
}

TEST(SharesFile, BeginsAnewWhereGroupsOrRoomAreOthers) {
  const TempFolder folder;
  { write_steps(*std::make_unique<SharesWriter>(folder.path(), header_of(4), 0), 1, 10, 4); }
  SharesWriter writer(folder.path(), header_of(6), 10);
  write_steps(writer, 11, 12, 6);
  const SharesReader reader = reader_of(folder.path());
  EXPECT_EQ(reader.blocks(), 2);
  EXPECT_EQ(reader.find(10), -1);
  EXPECT_EQ(reader.find(11), 0);
}

TEST(SharesFile, IsReadAsFarAsItIsWhole) {
  const TempFolder folder;
  { write_steps(*std::make_unique<SharesWriter>(folder.path(), header_of(4), 0), 1, 20, 4); }
  const fs::path data = folder.path() / kSharesName;
  fs::resize_file(data, fs::file_size(data) - 3);
  EXPECT_FALSE(reader_of(folder.path()).block(19));
  EXPECT_TRUE(reader_of(folder.path()).block(18));
  std::string bytes = content(data);
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(data, std::ios::binary) << bytes;
  int whole = 0;
  const SharesReader reader = reader_of(folder.path());
  for (std::int64_t number = 0; number < 19; ++number) whole += reader.block(number) ? 1 : 0;
  EXPECT_EQ(whole, 18);
  bytes[9] ^= 1;
  std::ofstream(data, std::ios::binary) << bytes;
  std::string why;
  EXPECT_FALSE(SharesReader::open(folder.path(), why));
  EXPECT_NE(why.find("does not begin as such a file does"), std::string::npos);
}

}  // namespace shares_file_test
}  // namespace equipoise
