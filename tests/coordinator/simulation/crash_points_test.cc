// The coordinator is killed at each of its writes, one run for each, and everything that it had promised is there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "coordinator/store/database.h"
#include "tests/coordinator/simulation/simulation.h"
#include "tests/coordinator/support/simulated_disk.h"

namespace equipoise::coordinator {
namespace crash_points_test {

constexpr const char* kFile = "/simulated/rows.sqlite3";

struct NamedLoss {
  const char* name;
  Loss loss;
  std::int64_t stride;  // of the writes that are tried: a run for each takes 10 ms or more
};

void PrintTo(const NamedLoss& loss, std::ostream* out) { *out << loss.name; }

const std::vector<NamedLoss> kLosses = {
    {"KillsIt", Loss::kNothing, 3}, {"CutsThePower", Loss::kAll, 1}, {"CutsThePowerAtAWrite", Loss::kSome, 2}};

std::string name_of(const testing::TestParamInfo<NamedLoss>& info) { return info.param.name; }

class CrashPoint : public testing::TestWithParam<NamedLoss> {};

TEST_P(CrashPoint, AtEachWriteOfAScriptKeepsWhatWasPromised) {
  spdlog::set_level(spdlog::level::off);
  constexpr std::int64_t kFewest = 200, kMost = 10'000, kMostShown = 3;
  std::int64_t writes = 0;
  int broken = 0;
  for (bool was_killed = true; was_killed && writes < kMost && broken < kMostShown; writes += GetParam().stride) {
    Simulation simulation(11);
    try {
      simulation.run_script(writes, GetParam().loss);
    } catch (const std::exception& error) {
      ++broken;
      std::string events;
      for (const std::string& event : simulation.schedule()) events += "\n  " + event;
      ADD_FAILURE() << "after " << writes << " writes: " << error.what() << events;
    }
    was_killed = simulation.crashes() > 0;
  }
  if (broken > 0) return;
  EXPECT_GT(writes, kFewest);  // the script has as many at least
  EXPECT_LT(writes, kMost);
}

INSTANTIATE_TEST_SUITE_P(Coordinator, CrashPoint, testing::ValuesIn(kLosses), name_of);

// The means itself: rows of one table on the simulated disk.
class DiskCrash : public testing::TestWithParam<NamedLoss> {
 protected:
  // How many rows there are.
  static std::int64_t rows() {
    Database database(kFile);
    Statement check(database, "PRAGMA integrity_check");
    check.begin();
    check.next();
    EXPECT_EQ(check.bytes(0), "ok");
    check.reset();
    Statement count(database, "SELECT count(*) FROM t");
    count.begin();
    count.next();
    return count.integer(0);
  }
  // Adds rows until one is refused, or there are `most`; returns how many were taken.
  static std::int64_t add_rows(Database& database, std::int64_t most) {
    Statement insert(database, "INSERT INTO t VALUES (zeroblob(3000))");
    for (std::int64_t taken = 0; taken < most; ++taken) {
      try {
        insert.run();
      } catch (const StoreError&) {
        return taken;
      }
    }
    return most;
  }

  SimulatedDisk disk_;
  SplitMix64 random_{3};
};

TEST_P(DiskCrash, KeepsTheRowsThatWereTaken) {
  constexpr std::int64_t kRows = 4;
  std::int64_t writes = 0;
  for (bool all_taken = false; !all_taken; ++writes) {
    ASSERT_LT(writes, 1000);
    {
      Database database(kFile);
      database.execute("DROP TABLE IF EXISTS t; CREATE TABLE t(content BLOB);");
    }
    std::int64_t taken = 0;
    {
      Database database(kFile);
      disk_.stop_after(writes);
      taken = add_rows(database, kRows);
      all_taken = !disk_.has_stopped();
      disk_.stop_after(0);
    }
    disk_.crash(GetParam().loss, random_);
    const std::int64_t there = rows();
    EXPECT_GE(there, taken) << "stopped after " << writes << " writes";
    EXPECT_LE(there, taken + 1) << "stopped after " << writes << " writes";
  }
  EXPECT_GT(writes, kRows);
}

TEST_P(DiskCrash, TakesNothingThatGrowsOnceItIsFull) {
  {
    Database database(kFile);
    database.execute("CREATE TABLE t(content BLOB)");
    disk_.set_full(true);
    EXPECT_EQ(add_rows(database, 3), 0);
    disk_.set_full(false);
    EXPECT_EQ(add_rows(database, 3), 3);
  }
  EXPECT_EQ(rows(), 3);
}

INSTANTIATE_TEST_SUITE_P(SimulatedDisk, DiskCrash, testing::ValuesIn(kLosses), name_of);

// Without syncs a power cut takes what was acknowledged: the disk tells programs apart that sync from those that do
// not.
TEST(SimulatedDisk, ForgetsWhatWasNotSynced) {
  SimulatedDisk disk;
  SplitMix64 random(3);
  {
    Database database(kFile);
    database.execute("CREATE TABLE t(content BLOB); PRAGMA synchronous=OFF; INSERT INTO t VALUES (1)");
    disk.stop_after(0);
  }
  disk.crash(Loss::kAll, random);
  Database database(kFile);
  Statement count(database, "SELECT count(*) FROM t");
  count.begin();
  count.next();
  EXPECT_EQ(count.integer(0), 0);
}

}  // namespace crash_points_test
}  // namespace equipoise::coordinator
