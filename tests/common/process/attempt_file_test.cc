#include "common/process/attempt_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/base/error.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace attempt_file_test {

using ::testing::HasSubstr;

class AttemptFileTest : public ::testing::Test {
 protected:
  const TempFolder folder_;
  const std::filesystem::path path_ = folder_ / "job.1";
};

TEST_F(AttemptFileTest, TellsWhatTheShimHasWritten) {
  const AttemptFile ours = AttemptFile::make(path_);
  EXPECT_EQ(ours.read().pid, 0);
  AttemptFile shim = AttemptFile::open(path_);
  ASSERT_TRUE(shim.lock(path_));
  shim.write_shim(123, 45678901234567);
  ShimState state = ours.read();
  EXPECT_EQ(state.pid, 123);
  EXPECT_EQ(state.start_time, 45678901234567U);
  EXPECT_FALSE(state.has_started);
  shim.write_started();
  EXPECT_TRUE(ours.read().has_started);
  EXPECT_EQ(ours.read().exit_code, std::nullopt);
  shim.write_exit(0);
  state = ours.read();
  EXPECT_EQ(state.exit_code, 0);
  EXPECT_EQ(state.pid, 123);
  EXPECT_EQ(state.refusal, "");
}

TEST_F(AttemptFileTest, ARefusalIsOneLineThatFits) {
  const AttemptFile ours = AttemptFile::make(path_);
  AttemptFile shim = AttemptFile::open(path_);
  shim.write_refusal("mpirun cannot be started:\nNo such file");
  EXPECT_EQ(ours.read().refusal, "mpirun cannot be started: No such file");
  shim.write_refusal(std::string(5000, 'x'));
  shim.write_exit(7);
  EXPECT_EQ(ours.read().exit_code, 7);
  EXPECT_GT(ours.read().refusal.size(), 2000U);
}

TEST_F(AttemptFileTest, IsLockedForAsLongAsTheShimHasIt) {
  const AttemptFile ours = AttemptFile::make(path_);
  EXPECT_FALSE(ours.is_locked());
  {
    AttemptFile shim = AttemptFile::open(path_);
    ASSERT_TRUE(shim.lock(path_));
    EXPECT_TRUE(ours.is_locked());
    AttemptFile second = AttemptFile::open(path_);
    EXPECT_FALSE(second.lock(path_)) << "two shims";
    try {
      AttemptFile::make(path_);
      ADD_FAILURE() << "the file of a live attempt was replaced";
    } catch (const PeerError& refused) {
      EXPECT_THAT(refused.what(), HasSubstr("is locked by the processes of an attempt that still runs"));
    }
  }
  EXPECT_FALSE(ours.is_locked());
  AttemptFile::make(path_);
}

// The coordinator was killed while it started an attempt, and the next one has found nothing and given it up.
TEST_F(AttemptFileTest, AShimThatComesTooLateMayNotStart) {
  AttemptFile::make(path_);
  AttemptFile late = AttemptFile::open(path_);
  std::filesystem::remove(path_);
  EXPECT_FALSE(late.lock(path_));
  AttemptFile::make(path_);
  EXPECT_FALSE(late.lock(path_)) << "another attempt's file";
}

TEST_F(AttemptFileTest, WhatIsNotWholeIsAsIfItWereNotWritten) {
  std::ofstream(path_) << "shim 12";
  EXPECT_EQ(AttemptFile::open(path_).read().pid, 0);
  std::ofstream(path_) << "shim x y\n" << std::string(8000, '\n');
  const ShimState state = AttemptFile::open(path_).read();
  EXPECT_EQ(state.pid, 0);
  EXPECT_EQ(state.exit_code, std::nullopt);
  EXPECT_FALSE(state.has_started);
}

TEST_F(AttemptFileTest, OnlyItsUserCanReadIt) {
  AttemptFile::make(path_);
  struct stat file {};
  ASSERT_EQ(::stat(path_.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0600U);
  EXPECT_GE(file.st_size, 4096);
}

}  // namespace attempt_file_test
}  // namespace equipoise
