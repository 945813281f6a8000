#include "coordinator/store/deleted_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/store/job_store.h"
#include "coordinator/store/log_folder.h"
#include "tests/coordinator/support/damaged_pages.h"
#include "tests/coordinator/support/requests.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace deleted_jobs_test {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Le;

class DeletedJobsTest : public ::testing::Test {
 protected:
  std::filesystem::path file() const { return folder_.path() / "test.sqlite3"; }
  // As after a kill: nothing but the file is left.
  void restart() {
    store_.reset();
    store_.emplace(file());
  }
  DeletedJobs& deleted() { return store_->deleted(); }
  // A job with an attempt and so many steps, in one transaction.
  std::int64_t job_with_steps(const std::string& id, std::int64_t steps) {
    v1::TrainingJob job;
    job.set_id(id);
    job.set_state(v1::JOB_STATE_QUEUED);
    const std::int64_t sequence = store_->insert_job(job, std::nullopt);
    job.set_state(v1::JOB_STATE_SUCCEEDED);
    job.set_generation(1);
    store_->start_training(job, {.request = start_request(id, 1), .response = {}});
    std::vector<StepRecord> records;
    for (std::int64_t step = 0; step < steps; ++step) records.push_back(record(id, step));
    store_->insert_steps(id, 1, records);
    return sequence;
  }
  static StepRecord record(const std::string& id, std::int64_t step) {
    RobustSettings settings;
    settings.mode = RobustMode::kGroupRobust;
    const WeightOwner owner(settings, {.names = {"a", "b"}, .pair_count_K = {1, 1}}, 2);
    return owner.prepare(step_request(id, 1, step, {0.3, 0.1}));
  }
  std::int64_t number(const std::string& sql) {
    Database database(file());
    Statement statement(database, sql);
    statement.begin();
    return statement.next() ? statement.integer(0) : 0;
  }
  // Tables that hold something of a job, but those that keep it on purpose.
  std::vector<std::string> tables_with(const std::string& id) {
    Database database(file());
    std::vector<std::string> names, found;
    Statement tables(database,
                     "SELECT DISTINCT t.name FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table' "
                     "AND c.name IN ('job_id', 'id') AND t.name != 'deleted_jobs' ORDER BY t.name");
    for (tables.begin(); tables.next();) names.push_back(tables.bytes(0));
    for (const std::string& name : names) {
      const std::string column = name == "jobs" ? "id" : "job_id";
      Statement rows(database, "SELECT 1 FROM " + name + " WHERE " + column + " = ?");
      rows.begin(id);
      if (rows.next()) found.push_back(name);
    }
    return found;
  }
  std::vector<std::int64_t> rows_of_pieces(const DeletedJob& job, PieceLimit limit) {
    std::vector<std::int64_t> rows;
    for (bool is_last = false; !is_last;) {
      const DeletedPiece piece = deleted().remove_rows(job, limit);
      rows.push_back(piece.rows);
      is_last = piece.is_last;
    }
    return rows;
  }

  TempFolder folder_;
  std::optional<JobStore> store_{file()};
};

// All of it in one transaction took 10.7 s for 65,000 steps, and nobody was served meanwhile.
TEST_F(DeletedJobsTest, NobodySeesTheJobAndItsRowsGoAPieceAtATime) {
  job_with_steps("a", 1200);
  job_with_steps("b", 3);
  const auto rows_before = number("SELECT count(*) FROM steps WHERE job_id = 'a'");
  ASSERT_EQ(rows_before, 1200);
  const std::size_t num_tables = tables_with("a").size();
  ASSERT_GE(num_tables, 3u);
  store_->delete_job("a");
  ASSERT_EQ(store_->jobs().size(), 1u);
  EXPECT_EQ(number("SELECT count(*) FROM steps WHERE job_id = 'a'"), rows_before);  // not one of them yet
  const auto job = deleted().next_with_rows(0);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->id, "a");
  const DeletedPiece first = deleted().remove_rows(*job, {.rows = 500});
  EXPECT_EQ(first.rows, 500);
  EXPECT_FALSE(first.is_last);
  // Between two pieces everything works.
  job_with_steps("c", 2);
  EXPECT_EQ(store_->steps("b", 0, {.rows = 10, .bytes = 1 << 20}).size(), 3u);
  EXPECT_THAT(rows_of_pieces(*job, {.rows = 500}), Each(Le(500)));
  EXPECT_THAT(tables_with("a"), ElementsAre());
  EXPECT_EQ(tables_with("b").size(), num_tables);
  EXPECT_EQ(store_->steps("c", 0, {.rows = 10, .bytes = 1 << 20}).size(), 2u);
  EXPECT_FALSE(deleted().next_with_rows(0));
}

TEST_F(DeletedJobsTest, APieceIsBoundedInBytesToo) {
  job_with_steps("a", 100);
  const std::int64_t bytes = number("SELECT sum(length(request) + length(digest)) FROM steps") / 100;
  store_->delete_job("a");
  const auto job = deleted().next_with_rows(0);
  ASSERT_TRUE(job);
  const DeletedPiece piece = deleted().remove_rows(*job, {.bytes = 10 * bytes});
  EXPECT_GE(piece.bytes, 10 * bytes);
  EXPECT_LT(piece.rows, 20);
  EXPECT_FALSE(piece.is_last);
  // One row at least, or a long one would stay for ever.
  EXPECT_EQ(deleted().remove_rows(*job, {.bytes = 1}).rows, 1);
}

TEST_F(DeletedJobsTest, AKillBetweenTwoPiecesLosesNothing) {
  job_with_steps("a", 30);
  job_with_steps("b", 30);
  store_->delete_job("b");
  store_->delete_job("a");
  std::vector<std::string> ids;
  int num_pieces = 0;
  for (auto job = deleted().next_with_rows(0); job; job = deleted().next_with_rows(0)) {
    if (ids.empty() || ids.back() != job->id) ids.push_back(job->id);
    deleted().remove_rows(*job, {.rows = 7});
    ++num_pieces;
    restart();
  }
  EXPECT_THAT(ids, ElementsAre("a", "b"));
  EXPECT_GE(num_pieces, 10);
  EXPECT_EQ(number("SELECT count(*) FROM steps"), 0);
  EXPECT_EQ(number("SELECT count(*) FROM trainings"), 0);
}

TEST_F(DeletedJobsTest, AnIdIsRememberedForEver) {
  const std::int64_t sequence = job_with_steps("a", 1);
  EXPECT_FALSE(deleted().contains("a"));
  store_->delete_job("a");
  EXPECT_TRUE(deleted().contains("a"));
  const DeletedJob job{.sequence = sequence, .id = "a"};
  rows_of_pieces(job, {});
  deleted().logs_are_gone(job);
  restart();
  EXPECT_TRUE(deleted().contains("a"));
  EXPECT_FALSE(deleted().contains("b"));
  store_->delete_job("b");  // there is none
  EXPECT_FALSE(deleted().contains("b"));
}

TEST_F(DeletedJobsTest, LogsFollowTheRows) {
  const std::int64_t a = job_with_steps("a", 1), b = job_with_steps("b", 1);
  store_->delete_job("a");
  store_->delete_job("b");
  EXPECT_FALSE(deleted().next_with_logs(0));
  rows_of_pieces({.sequence = b, .id = "b"}, {});
  rows_of_pieces({.sequence = a, .id = "a"}, {});
  ASSERT_TRUE(deleted().next_with_logs(0));
  EXPECT_EQ(deleted().next_with_logs(0)->id, "a");
  ASSERT_TRUE(deleted().next_with_logs(a));
  EXPECT_EQ(deleted().next_with_logs(a)->id, "b");
  deleted().logs_are_gone({.sequence = a, .id = "a"});
  restart();
  ASSERT_TRUE(deleted().next_with_logs(0));
  EXPECT_EQ(deleted().next_with_logs(0)->id, "b");
  deleted().logs_are_gone({.sequence = b, .id = "b"});
  EXPECT_FALSE(deleted().next_with_logs(0));
}

TEST_F(DeletedJobsTest, RowsThatCannotBeReadStayAndAreSaidToBeDamaged) {
  const std::int64_t a = job_with_steps("a", 200);
  store_->delete_job("a");
  store_.reset();
  destroy_leaf(file(), "steps", 0);
  store_.emplace(file());
  try {
    deleted().remove_rows({.sequence = a, .id = "a"}, {});
    ADD_FAILURE() << "removed";
  } catch (const StoreError& error) {
    EXPECT_EQ(error.cause(), StoreError::Cause::kDamaged);
  }
  job_with_steps("b", 1);  // nothing is left of the transaction
  EXPECT_EQ(deleted().next_with_rows(0)->id, "a");
}

TEST_F(DeletedJobsTest, ADamagedPageOfTheirTableKeepsNobodyFromMakingJobs) {
  job_with_steps("a", 1);
  store_->delete_job("a");
  store_.reset();
  destroy_leaf(file(), "sqlite_autoindex_deleted_jobs_1", 0);
  store_.emplace(file());
  EXPECT_FALSE(deleted().contains("a"));
  job_with_steps("b", 1);
  EXPECT_THAT(store_->replace_damaged_tables(),
              Contains(HasSubstr("table deleted_jobs is made anew, without what it had")));
  store_->delete_job("b");
  EXPECT_TRUE(deleted().contains("b"));
  Database database(file());
  Statement indexes(database,
                    "SELECT count(*) FROM sqlite_master WHERE tbl_name = 'deleted_jobs' AND type = 'index' "
                    "AND sql LIKE '%WHERE remains > 0'");
  indexes.begin();
  ASSERT_TRUE(indexes.next());
  EXPECT_EQ(indexes.integer(0), 1) << "what is left to do is found without reading all";
}

// 4.2 GB of a deleted job would be the file's for ever.
TEST_F(DeletedJobsTest, TheNextStartGivesTheDiskWhatIsFreeBack) {
  const auto size = [&] { return std::filesystem::file_size(file()); };
  job_with_steps("kept", 10);
  Database(file()).execute(
      "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 599) "
      "INSERT INTO steps(job_id, step, generation, digest, request, weight, log_alpha) "
      "SELECT 'large', i, 1, x'', zeroblob(32768), x'', x'' FROM n");
  const std::int64_t large = job_with_steps("large", 0);
  restart();
  const auto before = size();
  ASSERT_GT(before, std::uintmax_t{18} << 20);
  store_->delete_job("large");
  EXPECT_THAT(rows_of_pieces({.sequence = large, .id = "large"}, {}), Each(Le(132)));  // 4 MiB, and small ones
  restart();
  EXPECT_LT(size(), std::uintmax_t{1} << 20);
  EXPECT_EQ(store_->steps("kept", 0, {.rows = 100, .bytes = 1 << 20}).size(), 10u);
  EXPECT_TRUE(deleted().contains("large"));
}

TEST(RemoveSome, TakesOneFileAtATime) {
  const TempFolder folder;
  const auto logs = folder.path() / "logs";
  for (const char* name : {"logs/1/stdout.log", "logs/1/stderr.log", "logs/2/stdout.log"}) folder.write(name, "text");
  const auto num_files = [&] {
    int count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(logs)) {
      count += entry.is_regular_file() ? 1 : 0;
    }
    return count;
  };
  EXPECT_FALSE(remove_some(logs));
  EXPECT_GE(num_files(), 2);
  int calls = 1;
  while (!remove_some(logs)) ++calls;
  EXPECT_EQ(calls, 3 + 2);  // files and the folders around them; the last call takes `logs`
  EXPECT_FALSE(std::filesystem::exists(logs));
  EXPECT_TRUE(remove_some(logs));
}

TEST(RemoveSome, ShortensLongFilesButNoneThatHasAnotherName) {
  const TempFolder folder;
  const auto long_file = folder.write("logs/long", ""), other = folder.write("logs/other", "");
  constexpr std::uintmax_t kLong = std::uintmax_t{600} << 20;  // holes
  std::filesystem::resize_file(long_file, kLong);
  std::filesystem::resize_file(other, kLong);
  std::filesystem::create_hard_link(other, folder / "kept");
  int calls = 0;
  while (!remove_some(folder / "logs")) ++calls;
  EXPECT_EQ(calls, 3 + 1);  // 600 MiB in three steps, and the other name
  EXPECT_EQ(std::filesystem::file_size(folder / "kept"), kLong);
}

TEST(RemoveSome, FollowsNoLinks) {
  const TempFolder folder;
  const auto precious = folder.write("precious/file", "text");
  std::filesystem::create_directory(folder / "logs");
  std::filesystem::create_directory_symlink(folder / "precious", folder / "logs/link");
  while (!remove_some(folder / "logs")) {
  }
  EXPECT_TRUE(std::filesystem::exists(precious));
  std::filesystem::create_directory_symlink(folder / "precious", folder / "logs");
  while (!remove_some(folder / "logs")) {
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "logs"));
  EXPECT_TRUE(std::filesystem::exists(precious));
}

}  // namespace deleted_jobs_test
}  // namespace equipoise::coordinator
