#include "coordinator/service/file_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "coordinator/job/refusal.h"
#include "coordinator/service/mount_table.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace file_pool_test {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Asked {
  std::shared_ptr<std::promise<FileAnswer>> promise = std::make_shared<std::promise<FileAnswer>>();
  std::future<FileAnswer> answer = promise->get_future();
};

Asked ask(FilePool& pool, const std::filesystem::path& file, std::function<std::string(FileRun&)> work,
          FilePool::Amount amount = FilePool::Amount::kOneFile) {
  Asked asked;
  pool.run({.caller = "a",
            .files = {file},
            .work = std::move(work),
            .done = [promise = asked.promise](const auto& answer) { promise->set_value(answer); },
            .amount = amount});
  return asked;
}

std::string refusal_in(const FileAnswer& answer) {
  if (answer.failure == nullptr) return "none: " + answer.text;
  try {
    std::rethrow_exception(answer.failure);
  } catch (const Refusal& refusal) {
    EXPECT_EQ(refusal.reason(), ErrorReason::kFilesUnreachable);
    return refusal.what();
  }
}

TEST(FilePool, GivesWhatTheWorkReturnsOrThrows) {
  const TempFolder folder;
  FilePool pool;
  EXPECT_EQ(ask(pool, folder.path(), [](FileRun&) { return "text"; }).answer.get().text, "text");
  const FileAnswer failed =
      ask(pool, folder.path(), [](FileRun&) -> std::string { throw std::invalid_argument("wrong"); }).answer.get();
  EXPECT_THROW(std::rethrow_exception(failed.failure), std::invalid_argument);
}

// Work that waits for a file system that does not answer: here for a latch.
TEST(FilePool, TellsWhoeverWaitsAndAsksTheMountAgainOnceItHasAnswered) {
  const TempFolder folder;
  const auto answers = std::make_shared<std::latch>(1);
  const auto stuck = [answers](FileRun&) {
    answers->wait();
    return std::string("late");
  };
  FilePool pool({.threads = 2, .patience = 50ms});
  std::vector<Asked> all;
  for (int i = 0; i < 6; ++i) all.push_back(ask(pool, folder.path(), stuck));
  for (Asked& one : all) EXPECT_THAT(refusal_in(one.answer.get()), Not(StartsWith("none: ")));
  std::atomic<bool> is_asked = false;
  const auto other = [&](FileRun&) { return is_asked = true, std::string("soon"); };
  EXPECT_THAT(refusal_in(ask(pool, folder.path(), other).answer.get()), HasSubstr("does not answer"));
  EXPECT_FALSE(is_asked);
  answers->count_down();
  std::string text;
  while (text.empty()) {
    FileAnswer again = ask(pool, folder.path(), other).answer.get();
    text = again.text;
  }
  EXPECT_EQ(text, "soon");
}

TEST(FilePool, AnErrandWaitsForItsMountHoweverLong) {
  const TempFolder folder;
  const auto answers = std::make_shared<std::latch>(1);
  FilePool pool({.threads = 1, .patience = 50ms});
  const auto stuck = ask(pool, folder.path(), [answers](FileRun&) {
                       answers->wait();
                       return std::string();
                     }).answer.get();
  ASSERT_THAT(refusal_in(stuck), HasSubstr("does not answer"));
  std::promise<void> done;
  std::atomic<bool> is_done = false;
  pool.run_errand(folder.path(), [&] {
    is_done = true;
    done.set_value();
  });
  // Later, of the same one thread.
  EXPECT_THAT(refusal_in(ask(pool, folder.path(), [](FileRun&) { return ""; }).answer.get()),
              HasSubstr("does not answer"));
  EXPECT_FALSE(is_done);
  answers->count_down();
  done.get_future().get();
}

TEST(FilePool, ErrandsAreDoneBeforeItEnds) {
  const TempFolder folder;
  std::atomic<int> done = 0;
  {
    FilePool pool;
    pool.stop();
    for (int i = 0; i < 100; ++i) pool.run_errand(folder.path(), [&] { ++done; });
  }
  EXPECT_EQ(done, 100);
}

// As a job that nobody waits for any more must not be made hours later.
TEST(FilePool, WorkThatIsGivenUpDoesNothingMoreApart) {
  const TempFolder folder;
  const auto answers = std::make_shared<std::latch>(1);
  FilePool pool({.patience = 50ms});
  std::atomic<bool> is_called = false;
  std::promise<void> is_ended;
  const auto given_up = ask(pool, folder.path(), [&, answers](FileRun& run) {
                          answers->wait();
                          try {
                            run.apart([&] { is_called = true; });
                          } catch (const Refusal&) {
                            run.apart_at_last([&] { is_ended.set_value(); });
                          }
                          return std::string();
                        }).answer.get();
  EXPECT_THAT(refusal_in(given_up), HasSubstr("does not answer"));
  answers->count_down();
  is_ended.get_future().get();
  EXPECT_FALSE(is_called);
}

TEST(FilePool, NoMountIsToBlameForTheTimeApartFromIt) {
  const TempFolder folder;
  FilePool pool({.patience = 500ms});
  std::latch is_apart(1), may_go_on(1);
  Asked apart = ask(pool, folder.path(), [&](FileRun& run) {
    run.apart([&] {
      is_apart.count_down();
      may_go_on.wait();
    });
    return std::string("text");
  });
  is_apart.wait();
  const auto answers = std::make_shared<std::latch>(1);
  const auto stuck = ask(pool, folder.path(), [answers](FileRun&) {
                       answers->wait();
                       return std::string();
                     }).answer.get();
  EXPECT_THAT(refusal_in(stuck), HasSubstr("does not answer")) << "and as long has the other one taken";
  may_go_on.count_down();
  EXPECT_EQ(apart.answer.get().text, "text");
  answers->count_down();
}

TEST(FilePool, WorkOnManyFilesMayTakeLongerAndKeepsNobodyWaiting) {
  const TempFolder folder;
  FilePool pool({.threads = 1, .patience = 500ms, .patience_of_many = 1h});
  std::latch may_end(1);
  Asked slow = ask(
      pool, folder.path(),
      [&](FileRun&) {
        may_end.wait();
        return std::string("slow");
      },
      FilePool::Amount::kManyFiles);
  // Its turn comes once another thread has taken the place of the one that there is.
  EXPECT_EQ(ask(pool, folder.path(), [](FileRun&) { return "soon"; }).answer.get().text, "soon");
  may_end.count_down();
  EXPECT_EQ(slow.answer.get().text, "slow");
}

TEST(FilePool, IsStoppedThoughWorkNeverEnds) {
  const auto answers = std::make_shared<std::latch>(1);
  Asked asked;
  {
    const TempFolder folder;
    FilePool pool({.patience = 1h});
    asked = ask(pool, folder.path(), [answers](FileRun&) {
      answers->wait();
      return std::string();
    });
  }
  EXPECT_NE(asked.answer.get().failure, nullptr);
  answers->count_down();
}

TEST(MountTable, KnowsTheMountOfAPathByItsLongestMountPoint) {
  const MountTable mounts(
      "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
      "23 22 0:40 / /nfs rw shared:1 - nfs4 server:/runs rw\n"
      "24 23 0:41 / /nfs/with\\040blank rw - tmpfs none rw\n");
  EXPECT_EQ(mounts.mount_of("/nfs/run/metrics.jsonl"), "/nfs");
  EXPECT_EQ(mounts.mount_of("/nfs"), "/nfs");
  EXPECT_EQ(mounts.mount_of("/nfs2/run"), "/");
  EXPECT_EQ(mounts.mount_of("/nfs/with blank/run"), "/nfs/with blank");
}

TEST(MountTable, FollowsLinksToTheMountThatWillHaveToAnswer) {
  const TempFolder folder;
  const std::filesystem::path root = std::filesystem::canonical(folder.path());
  std::filesystem::create_directory(root / "disk");
  std::filesystem::create_symlink("disk", root / "link");
  std::filesystem::create_symlink("loop", root / "loop");
  const MountTable mounts("1 0 0:1 / / rw - a b c\n2 1 0:2 / " + (root / "disk").string() + " rw - nfs b c\n");
  const auto newest_of = [&](const std::filesystem::path& path) {
    std::string newest;
    follow_path(path, mounts, [&](const std::string& mount) { newest = mount; });
    return newest;
  };
  EXPECT_EQ(newest_of(root / "link" / "run"), root / "disk");
  EXPECT_EQ(newest_of(root / "disk/../link/./run/metrics.jsonl"), root / "disk");
  EXPECT_EQ(newest_of(root / "else"), "/");
  EXPECT_EQ(newest_of(root / "loop" / "run"), "/");  // ends
  await_file_system(root / "not" / "there");
}

}  // namespace file_pool_test
}  // namespace equipoise::coordinator
