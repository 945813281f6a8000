#include "worker/training/run_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "common/base/sha256.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace run_output_test {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

namespace fs = std::filesystem;

class RunOutputTest : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& text) const {
    fs::create_directories((temp_ / name).parent_path());
    temp_.write(name, text);
  }
  RunOutputTest() {
    spec_.set_name("run");
    spec_.mutable_model()->set_path((temp_ / "model").string());
    spec_.mutable_data()->set_train((temp_ / "train.jsonl").string());
    spec_.set_output((temp_ / "out").string());
    config_ = make_job_config(spec_);
  }

  const TempFolder temp_;
  v1::JobSpec spec_;
  JobConfig config_;
};

TEST_F(RunOutputTest, HasOneWriter) {
  const RunOutput first(config_, "run-1");
  EXPECT_THAT([&] { RunOutput(config_, "run-2"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("in use by job run-1 of equipoise-worker")));
}

// Its mpirun has ended, and it has not noticed yet.
TEST_F(RunOutputTest, WaitsForARankOfAnEarlierAttemptToEnd) {
  std::optional<RunOutput> earlier(std::in_place, config_, "run-1");
  std::thread end([&earlier] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the one below has found it in use by then
    earlier.reset();
  });
  EXPECT_NO_THROW(RunOutput(config_, "run-1"));
  end.join();
}

TEST_F(RunOutputTest, LeavesNothingBehindWhereItIsRefused) {
  fs::create_directories(temp_ / "out/final");
  EXPECT_THROW(RunOutput(config_, "run-1"), std::invalid_argument);
  EXPECT_FALSE(fs::exists(temp_ / "out/.equipoise-lock"));
}

TEST_F(RunOutputTest, RemovesWhatKilledRanksLeftOfItsFiles) {
  const std::set<std::string> others = {".notes.txt.partial-7", ".equipoise-lock", ".final.partial"};
  for (const char* left : {".job.yaml.partial-4711", ".final.partial-1/model.safetensors", ".receipt.json.partial-2",
                           ".notes.txt.partial-7", ".final.partial"}) {
    put(std::string("out/") + left, "half");
  }
  const RunOutput output(config_, "run-1");
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator(temp_ / "out")) found.insert(entry.path().filename().string());
  EXPECT_EQ(found, others);
}

TEST_F(RunOutputTest, KeepsTheModelBeforeUntilTheNewOneIsWhole) {
  config_.overwrite = true;
  put("out/final/model", "old");
  put("out/metrics.jsonl", "old");
  put("out/report.html", "old");
  put("out/trainer_state.json", "old");
  put("out/failure/stderr.log", "old");
  RunOutput output(config_, "run-1");
  EXPECT_TRUE(fs::exists(temp_ / "out/metrics.jsonl"));
  output.prepare(spec_, ShardPlan());
  EXPECT_FALSE(fs::exists(temp_ / "out/metrics.jsonl"));
  EXPECT_FALSE(fs::exists(temp_ / "out/failure"));
  EXPECT_FALSE(fs::exists(temp_ / "out/report.html"));
  EXPECT_FALSE(fs::exists(temp_ / "out/trainer_state.json"));
  EXPECT_TRUE(fs::exists(temp_ / "out/job.yaml"));
  EXPECT_TRUE(fs::exists(temp_ / "out/final.previous/model"));
  output.discard_previous();
  EXPECT_FALSE(fs::exists(temp_ / "out/final.previous"));
}

TEST_F(RunOutputTest, PreparesAgainWhereItHasStoppedHalfWay) {
  RunOutput output(config_, "run-1");
  output.prepare(spec_, ShardPlan());
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  EXPECT_THROW(output.prepare(spec_, ShardPlan()), std::runtime_error);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(fs::exists(temp_ / "out/job.yaml"));
  output.prepare(spec_, ShardPlan());
  EXPECT_TRUE(fs::exists(temp_ / "out/job.yaml"));
}

// Whoever ran out of room moved them to another disk.
TEST_F(RunOutputTest, CheckpointsThatAreLinksBelongToTheRun) {
  for (const bool is_whole_folder : {true, false}) {
    const fs::path moved = temp_ / (is_whole_folder ? "elsewhere" : "elsewhere-too");
    put("out/metrics.jsonl", "before\nafter\n");
    put("out/checkpoints/step-7/manifest.json", "{}");
    const fs::path from = temp_ / (is_whole_folder ? "out/checkpoints" : "out/checkpoints/step-7");
    fs::rename(from, moved);
    fs::create_directory_symlink(moved, from);
    put("out/.equipoise-run", "");
    config_.overwrite = true;
    RunOutput output(config_, "run-1");
    FoundCheckpoint found{.folder = temp_ / "out/checkpoints/step-7", .manifest = {}};
    found.manifest.step = 7;
    found.manifest.metrics_bytes = 7;
    found.manifest.metrics_sha256 = sha256_of(std::as_bytes(std::span<const char>("before\n", 7)));
    EXPECT_EQ(output.prepare(spec_, ShardPlan(), found).metrics, "") << "is what the checkpoint knew";
    EXPECT_EQ(read_file(temp_ / "out/metrics.jsonl").substr(0, 7), "before\n");
    EXPECT_TRUE(fs::is_symlink(from));
    fs::remove_all(temp_ / "out/checkpoints");
  }
}

TEST_F(RunOutputTest, ADeletedFolderOrFileIsFound) {
  std::optional<RunOutput> output(std::in_place, config_, "run-1");
  output->prepare(spec_, ShardPlan());
  put("out/metrics.jsonl", "");
  output->watch("metrics.jsonl");
  output->check_now();
  put("out/other", "");  // before the removal, or it may get the number of the file that is gone
  fs::remove(temp_ / "out/metrics.jsonl");
  EXPECT_THAT([&] { output->check_now(); },
              ThrowsMessage<std::runtime_error>(HasSubstr("out: metrics.jsonl was deleted during the run")));
  fs::rename(temp_ / "out/other", temp_ / "out/metrics.jsonl");
  EXPECT_THAT([&] { output->check_now(); },
              ThrowsMessage<std::runtime_error>(HasSubstr("metrics.jsonl was replaced during the run")));
  fs::remove_all(temp_ / "out");
  EXPECT_THAT([&] { output->check_now(); },
              ThrowsMessage<std::runtime_error>(HasSubstr("out was deleted or replaced during the run")));
  output.reset();
  EXPECT_FALSE(fs::exists(temp_ / "out"));
}

}  // namespace run_output_test
}  // namespace equipoise
