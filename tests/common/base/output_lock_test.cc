#include "common/base/output_lock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <optional>
#include <string>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace output_lock_test {

using ::testing::AllOf;
using ::testing::HasSubstr;

const OutputOwner kFirst{.program = "equipoise-coordinator", .job = "a-1"};
const OutputOwner kSecond{.program = "equipoise-worker", .job = "b-2"};

class OutputLockTest : public ::testing::Test {
 protected:
  OutputPlace out(const std::string& name = "out") const { return {.field = "output", .path = temp_ / name}; }
  template <class Call>
  static std::string refusal(const Call& call) {
    try {
      call();
    } catch (const OutputInUse& refused) {
      return refused.what();
    }
    return "no refusal";
  }
  std::string refusal_of_folder(const std::string& name = "out") const {
    return refusal([&] { OutputLock::of_folder(out(name), kSecond); });
  }

  const TempFolder temp_;
};

TEST_F(OutputLockTest, TheSecondIsRefusedWithTheOwnersNameProcessHostAndBegin) {
  const OutputLock first = OutputLock::of_folder(out(), kFirst);
  const std::string expected = "output: " + (temp_ / "out").string() +
                               " is in use by job a-1 of equipoise-coordinator (pid " + std::to_string(::getpid()) +
                               " on ";
  for (const std::string& text :
       {refusal_of_folder(), refusal([&] { OutputLock::reserve_folder(out(), kSecond); }),
        refusal([&] { OutputLock::of_writer(out(), kSecond); }), refusal([&] { OutputLock::check_free(out()); })}) {
    EXPECT_THAT(text, AllOf(HasSubstr(expected), HasSubstr(" since 20"), HasSubstr("wait until that has ended")));
  }
}

TEST_F(OutputLockTest, AnotherNameOfTheFolderIsTheSameFolder) {
  const OutputLock first = OutputLock::of_folder(out(), kFirst);
  std::filesystem::create_symlink(temp_ / "out", temp_ / "link");
  EXPECT_THAT(refusal_of_folder("link"), HasSubstr("in use by job a-1"));
  EXPECT_THAT(refusal_of_folder("out/../out/"), HasSubstr("in use by job a-1"));
}

TEST_F(OutputLockTest, WhatIsInsideOfAnOwnedFolderIsItsOwners) {
  const OutputLock first = OutputLock::of_folder(out(), kFirst);
  EXPECT_THAT(refusal_of_folder("out/final/inner"), HasSubstr("is inside of " + (temp_ / "out").string()));
  EXPECT_THAT(refusal([&] { OutputLock::beside(out("out/pairs.jsonl"), kSecond); }), HasSubstr("inside of"));
  EXPECT_EQ(refusal_of_folder("other"), "no refusal");
  const OutputLock inner = OutputLock::of_folder(out("b/final"), kFirst);
  EXPECT_THAT(refusal_of_folder("b"), HasSubstr("is around"));
}

TEST_F(OutputLockTest, AnExperimentAdmitsRunsInsideAndNotAtItsOwnPlace) {
  const OutputLock experiment =
      OutputLock::of_folder(out(), {.program = "equipoise reproduce", .job = "", .admits_runs_inside = true});
  EXPECT_EQ(refusal_of_folder("out/runs/seed-1/dpo"), "no refusal");
  EXPECT_THAT(refusal_of_folder(), HasSubstr("in use by equipoise reproduce (pid "));
}

// The coordinator reserves for a job whose rank 0 writes; the coordinator may die before it.
TEST_F(OutputLockTest, TheWriterOfTheReservingJobComesIn) {
  std::optional<OutputLock> reservation(OutputLock::reserve_folder(out(), kFirst));
  std::optional<OutputLock> writer(OutputLock::of_writer(out(), {.program = "equipoise-worker", .job = "a-1"}));
  EXPECT_THAT(refusal([&] { OutputLock::of_writer(out(), {.program = "equipoise-worker", .job = "a-1"}); }),
              HasSubstr("in use by job a-1"));
  reservation.reset();
  EXPECT_THAT(refusal_of_folder(), HasSubstr("in use by job a-1"));
  EXPECT_THAT(refusal([&] { OutputLock::reserve_folder(out(), kSecond); }), HasSubstr("in use by job a-1"));
  writer.reset();
  EXPECT_EQ(refusal_of_folder(), "no refusal");
}

TEST_F(OutputLockTest, AWriterWithoutReservationHasTheWholeLock) {
  const OutputLock writer = OutputLock::of_writer(out(), kSecond);
  EXPECT_THAT(refusal([&] { OutputLock::reserve_folder(out(), kFirst); }), HasSubstr("in use by job b-2"));
}

TEST_F(OutputLockTest, NothingIsLeftOfAnEmptyFolder) {
  { const OutputLock lock = OutputLock::of_folder(out("new/deep"), kFirst); }
  EXPECT_FALSE(std::filesystem::exists(temp_ / "new"));
  {
    const OutputLock lock = OutputLock::of_folder(out("kept"), kFirst);
    std::ofstream(temp_ / "kept" / "file") << "x";
  }
  EXPECT_TRUE(std::filesystem::exists(temp_ / "kept" / "file"));
  EXPECT_FALSE(std::filesystem::exists(temp_ / "kept" / ".equipoise-lock"));
}

TEST_F(OutputLockTest, WhatAKilledWriterLeftIsRemovedWithTheNextOne) {
  const auto left = temp_.write(".out.partial-4711", "half"), other = temp_.write(".other.partial-4711", "half");
  const OutputLock lock = OutputLock::beside(out(), kFirst);
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_TRUE(std::filesystem::exists(other));
}

TEST_F(OutputLockTest, AFileHasItsLockBesideIt) {
  const auto lock = std::make_optional(OutputLock::beside(out("pairs.jsonl"), {.program = "equipoise evaluate"}));
  EXPECT_THAT(refusal([&] { OutputLock::beside(out("pairs.jsonl"), kSecond); }),
              HasSubstr("pairs.jsonl is in use by equipoise evaluate (pid "));
  EXPECT_THAT(refusal_of_folder("pairs.jsonl"), HasSubstr("in use by equipoise evaluate"));
  EXPECT_THAT(refusal_of_folder("pairs.jsonl/inside"), HasSubstr("in use by equipoise evaluate"));
  EXPECT_EQ(refusal_of_folder("other.jsonl"), "no refusal");
}

// `equipoise data generate survey.jsonl` was refused: "survey.jsonl cannot be made a folder".
TEST_F(OutputLockTest, APlaceInTheWorkingFolderIsNamedWithoutAFolder) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(temp_.path());
  {
    const OutputLock file = OutputLock::beside({.field = "FILE", .path = "pairs.jsonl"}, kFirst);
    const OutputLock folder = OutputLock::of_folder({.field = "output", .path = "out"}, kFirst);
    EXPECT_THAT(refusal([&] { OutputLock::beside(out("pairs.jsonl"), kSecond); }), HasSubstr("in use by job a-1"));
    EXPECT_THAT(refusal_of_folder(), HasSubstr("in use by job a-1"));
  }
  EXPECT_TRUE(std::filesystem::is_empty("."));
  std::filesystem::current_path(before);
}

// Of a process that is no longer there, however it ended.
TEST_F(OutputLockTest, ALockEndsWithItsProcess) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const OutputLock lock = OutputLock::of_folder(out(), kFirst);
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    while (true) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_THAT(refusal_of_folder(), HasSubstr("(pid " + std::to_string(child) + " on "));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(std::filesystem::exists(temp_ / "out" / ".equipoise-lock"));
  EXPECT_EQ(refusal_of_folder(), "no refusal");
}

// A job whose coordinator was lost, and whose rank goes on.
TEST_F(OutputLockTest, TheNextCoordinatorReservesBesideTheWriter) {
  std::optional<OutputLock> lost(OutputLock::reserve_folder(out(), kFirst));
  std::optional<OutputLock> rank(OutputLock::of_writer(out(), kFirst));
  lost.reset();
  EXPECT_THAT(refusal([&] { OutputLock::reserve_beside_writer(out(), kSecond); }), HasSubstr("in use by job a-1"));
  EXPECT_THAT(refusal([&] { OutputLock::reserve_folder(out(), kFirst); }), HasSubstr("in use by job a-1"));
  {
    const OutputLock next = OutputLock::reserve_beside_writer(out(), kFirst);
    EXPECT_THAT(refusal([&] { OutputLock::reserve_beside_writer(out(), kFirst); }), HasSubstr("in use by job a-1"));
    rank.reset();
    EXPECT_THAT(refusal_of_folder(), HasSubstr("in use by job a-1")) << "as while the job is PAUSED";
  }
  EXPECT_EQ(refusal_of_folder(), "no refusal");
  OutputLock::reserve_beside_writer(out(), kFirst);  // there is none
}

TEST_F(OutputLockTest, AProgramThatItsOwnerStartedDoesNotKeepIt) {
  std::optional<OutputLock> lock(OutputLock::of_folder(out(), kFirst));
  int started[2];
  ASSERT_EQ(::pipe2(started, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("/bin/sleep", "sleep", "60", nullptr);
    ::_exit(127);
  }
  ::close(started[1]);
  char byte = 0;
  ASSERT_EQ(::read(started[0], &byte, 1), 0);  // closed by exec
  lock.reset();
  EXPECT_EQ(refusal_of_folder(), "no refusal");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST_F(OutputLockTest, ADeletedOrReplacedFolderIsNoLongerInPlace) {
  const OutputLock lock = OutputLock::of_folder(out(), kFirst);
  EXPECT_TRUE(lock.is_in_place());
  std::filesystem::rename(temp_ / "out", temp_ / "moved");
  EXPECT_FALSE(lock.is_in_place());
  std::filesystem::create_directory(temp_ / "out");
  std::ofstream(temp_ / "out" / ".equipoise-lock") << "x";
  EXPECT_FALSE(lock.is_in_place());
}

TEST_F(OutputLockTest, WhatCannotBeAFolderIsRefusedAsThat) {
  std::ofstream(temp_ / "file") << "x";
  try {
    OutputLock::of_folder(out("file"), kFirst);
    FAIL();
  } catch (const std::invalid_argument& refused) {
    EXPECT_THAT(refused.what(), HasSubstr("output: " + (temp_ / "file").string() + " "));
  }
}

TEST_F(OutputLockTest, TheRecordOfOthersIsReadAsItIs) {
  std::filesystem::create_directory(temp_ / "out");
  std::ofstream(temp_ / "out" / ".equipoise-lock") << "x\x1b[0m\n" << std::string(100000, 'y');
  EXPECT_EQ(refusal_of_folder(), "no refusal");
}

TEST_F(OutputLockTest, NothingIsMadeBesideADevice) {
  ASSERT_EQ(::mkfifo((temp_ / "pipe").c_str(), 0600), 0);
  try {
    OutputLock::beside(out("pipe"), kFirst);
    FAIL() << "not refused";
  } catch (const std::invalid_argument& refused) {
    EXPECT_EQ(refused.what(), "output: " + (temp_ / "pipe").string() + " is a FIFO, expected a file");
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(temp_.path()), {}), 1);
}

}  // namespace output_lock_test
}  // namespace equipoise
