#include "coordinator/service/job_watchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {
namespace job_watchers_test {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Jobs that a test moves, and how often each was read.
class Jobs {
 public:
  void set(const std::string& id, std::int64_t revision, v1::JobState state = v1::JOB_STATE_RUNNING) {
    const std::lock_guard lock(mutex_);
    v1::TrainingJob& job = jobs_[id];
    job.set_id(id);
    job.set_revision(revision);
    job.set_state(state);
  }
  v1::TrainingJob read(const std::string& id) {
    const std::lock_guard lock(mutex_);
    ++reads_[id];
    const auto known = jobs_.find(id);
    if (known == jobs_.end()) throw Refusal(Refusal::Code::kNotFound, "there is no job \"" + id + "\"");
    return known->second;
  }
  int reads(const std::string& id) {
    const std::lock_guard lock(mutex_);
    return reads_[id];
  }

 private:
  std::mutex mutex_;  // guards all below
  std::map<std::string, v1::TrainingJob> jobs_;
  std::map<std::string, int> reads_;
};

class Recorder final : public JobWatcher {
 public:
  void show(std::shared_ptr<const JobSnapshot> job) override {
    const std::lock_guard lock(mutex_);
    revisions_.push_back(job->revision);
    changed_.notify_all();
  }
  void end(const grpc::Status& status) override {
    const std::lock_guard lock(mutex_);
    end_ = status;
    changed_.notify_all();
  }
  // Waits until it was shown this one.
  std::vector<std::int64_t> revisions_up_to(std::int64_t revision) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !revisions_.empty() && revisions_.back() >= revision; });
    return revisions_;
  }
  grpc::StatusCode end_code() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return end_.has_value(); });
    return end_->error_code();
  }
  std::vector<std::int64_t> revisions() {
    const std::lock_guard lock(mutex_);
    return revisions_;
  }

 private:
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::vector<std::int64_t> revisions_;
  std::optional<grpc::Status> end_;
};

class JobWatchersTest : public ::testing::Test {
 protected:
  Jobs jobs_;
  JobWatchers watchers_{[this](const std::string& id) { return jobs_.read(id); }, 3};
};

TEST_F(JobWatchersTest, AChangeOfAJobReachesThoseThatFollowIt) {
  jobs_.set("a", 1);
  jobs_.set("b", 1);
  Recorder first, second, other;
  watchers_.add(first, "a", 0);
  watchers_.add(second, "a", 0);
  watchers_.add(other, "b", 0);
  other.revisions_up_to(1);
  const int reads_of_b = jobs_.reads("b");
  first.revisions_up_to(1);
  second.revisions_up_to(1);
  jobs_.set("a", 2);
  watchers_.changed("a");
  EXPECT_THAT(first.revisions_up_to(2), ElementsAre(1, 2));
  EXPECT_THAT(second.revisions_up_to(2), ElementsAre(1, 2));
  EXPECT_EQ(jobs_.reads("b"), reads_of_b);
  EXPECT_THAT(other.revisions(), ElementsAre(1));
  for (Recorder* watcher : {&first, &second, &other}) watchers_.remove(*watcher);
}

TEST_F(JobWatchersTest, OneThatComesBackIsShownWhatIsNewerOnly) {
  jobs_.set("a", 5);
  Recorder anew, back;
  watchers_.add(back, "a", 5);
  watchers_.add(anew, "a", 0);
  anew.revisions_up_to(5);
  jobs_.set("a", 6);
  watchers_.changed("a");
  EXPECT_THAT(back.revisions_up_to(6), ElementsAre(6));
  EXPECT_THAT(anew.revisions_up_to(6), ElementsAre(5, 6));
  for (Recorder* watcher : {&anew, &back}) watchers_.remove(*watcher);
}

TEST_F(JobWatchersTest, OneThatHasSeenTheEndIsEnded) {
  jobs_.set("a", 7, v1::JOB_STATE_SUCCEEDED);
  Recorder watcher;
  watchers_.add(watcher, "a", 7);
  EXPECT_EQ(watcher.end_code(), grpc::StatusCode::OK);
  EXPECT_THAT(watcher.revisions(), IsEmpty());
  watchers_.remove(watcher);
}

TEST_F(JobWatchersTest, ManyChangesArriveInOrderAndTheNewestLast) {
  jobs_.set("a", 1);
  Recorder watcher;
  watchers_.add(watcher, "a", 0);
  for (std::int64_t revision = 2; revision <= 5000; ++revision) {
    jobs_.set("a", revision);
    watchers_.changed("a");
  }
  const auto seen = watcher.revisions_up_to(5000);
  EXPECT_EQ(seen.back(), 5000);
  EXPECT_LT(seen.size(), 5000u) << "those within 50 ms arrive as one";
  for (std::size_t i = 1; i < seen.size(); ++i) EXPECT_GT(seen[i], seen[i - 1]);
  watchers_.remove(watcher);
}

TEST_F(JobWatchersTest, AJobThatIsNotThereEndsItsWatchers) {
  Recorder watcher;
  watchers_.add(watcher, "gone", 0);
  EXPECT_EQ(watcher.end_code(), grpc::StatusCode::NOT_FOUND);
  watchers_.remove(watcher);
}

TEST_F(JobWatchersTest, ThereIsRoomForSoManyOnly) {
  jobs_.set("a", 1);
  Recorder watchers[4];
  for (int i = 0; i < 3; ++i) watchers_.add(watchers[i], "a", 0);
  EXPECT_THROW(watchers_.add(watchers[3], "a", 0), Refusal);
  watchers_.remove(watchers[0]);
  EXPECT_NO_THROW(watchers_.add(watchers[3], "a", 0));
  for (int i = 1; i < 4; ++i) watchers_.remove(watchers[i]);
}

TEST_F(JobWatchersTest, ClosingEndsAllAfterTheirNewsAndTakesNoMore) {
  jobs_.set("a", 1);
  Recorder watcher, late;
  watchers_.add(watcher, "a", 0);
  watcher.revisions_up_to(1);
  jobs_.set("a", 2);
  watchers_.changed("a");
  watchers_.close(0ms);
  EXPECT_THAT(watcher.revisions(), ElementsAre(1, 2));
  EXPECT_EQ(watcher.end_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THROW(watchers_.add(late, "a", 0), Refusal);
  watchers_.remove(watcher);
}

}  // namespace job_watchers_test
}  // namespace equipoise::coordinator
