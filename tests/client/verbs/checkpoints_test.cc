#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/table/number_format.h"
#include "common/base/output_lock.h"
#include "tests/client/support/command_run.h"
#include "tests/client/support/example_checkpoint.h"

namespace equipoise {
namespace checkpoints_test {

namespace fs = std::filesystem;

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class CheckpointsVerb : public testing::Test {
 protected:
  CommandRun checkpoints(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "checkpoints");
    return run(std::move(arguments));
  }
  void expect_refused(const std::vector<std::string>& arguments, const std::string& what) const {
    const CommandRun result = checkpoints(arguments);
    EXPECT_EQ(result.code, ExitCode::kBadInput);
    EXPECT_EQ(result.err, "equipoise checkpoints " + arguments.front() + ": " + what + "\n");
    EXPECT_EQ(result.out, "");
  }
  std::vector<std::int64_t> steps() const {
    std::vector<std::int64_t> steps;
    for (const CheckpointEntry& entry : list_checkpoints(run_)) steps.push_back(entry.step);
    return steps;
  }

  const TempFolder folder_;
  const std::string run_ = folder_ / "run";
};

// What may happen to a file: the first, a middle and the last byte changed, a byte less, one more, none at all.
std::vector<std::string> damages_of(const std::string& content) {
  std::vector<std::string> damages = {content.substr(0, content.size() - 1), content + "\n", ""};
  for (const std::size_t place : {std::size_t{0}, content.size() / 2, content.size() - 1}) {
    damages.push_back(content);
    damages.back()[place] = static_cast<char>(damages.back()[place] ^ 1);
  }
  return damages;
}

TEST_F(CheckpointsVerb, VerifyNamesWhatIsNotWhatWasWritten) {
  const fs::path made = write_checkpoint(folder_, "run", 120);
  write_checkpoint(folder_, "run", 60);
  const CommandRun whole = checkpoints({"verify", run_});
  EXPECT_EQ(whole.code, ExitCode::kSuccess) << whole.err;
  EXPECT_EQ(whole.out, "step 120: whole, 2 files, 1.02 kB\nstep 60: whole, 2 files, 1.02 kB\n");
  for (const std::string file : {"theta.safetensors", "optimizer.safetensors", "manifest.json"}) {
    const std::string content = read_file(made / file), name = "run/checkpoints/step-120/" + file;
    const auto expect_damage = [&](const std::string& what) {
      const CommandRun damaged = checkpoints({"verify", run_});
      EXPECT_EQ(damaged.code, ExitCode::kFailure);
      EXPECT_THAT(damaged.out, StartsWith("step 120: " + file + ": " + what));
      EXPECT_THAT(damaged.out, HasSubstr("\nstep 60: whole"));
      EXPECT_EQ(damaged.err, "equipoise checkpoints verify: 1 of 2 checkpoints is damaged\n");
    };
    for (const std::string& damage : damages_of(content)) {
      folder_.write(name, damage);
      expect_damage("");
    }
    fs::remove(made / file);
    expect_damage(file == "manifest.json" ? "" : "No such file or directory");
    fs::create_directory(made / file);
    expect_damage("");
    fs::remove(made / file);
    folder_.write(name, content);
  }
  EXPECT_EQ(checkpoints({"verify", run_}).out, whole.out);
}

TEST_F(CheckpointsVerb, VerifyTakesRunsAndSingleCheckpoints) {
  const std::string first = write_checkpoint(folder_, "run", 60).string();
  write_checkpoint(folder_, "run", 120);
  EXPECT_EQ(checkpoints({"verify", first + "/"}).out, "step 60: whole, 2 files, 1.02 kB\n");
  fs::create_directory(folder_ / "empty");
  const std::string empty = folder_ / "empty";
  const CommandRun both = checkpoints({"verify", first, empty, run_});
  EXPECT_EQ(both.code, ExitCode::kSuccess) << both.err;
  EXPECT_EQ(both.out, "no checkpoints in " + empty + "\n" + first + ": step 60: whole, 2 files, 1.02 kB\n" + run_ +
                          ": step 120: whole, 2 files, 1.02 kB\n" + run_ + ": step 60: whole, 2 files, 1.02 kB\n");
  expect_refused({"verify", run_ + "/none"}, "OUTPUT: " + run_ + "/none does not exist");
  expect_refused({"verify", run_ + "/checkpoints"},
                 "OUTPUT: " + run_ + "/checkpoints is inside of a run's folder: name " + run_);
}

TEST_F(CheckpointsVerb, ListSaysWhichManifestIsDamaged) {
  write_checkpoint(folder_, "run", 60);
  EXPECT_EQ(checkpoints({"list", run_}).code, ExitCode::kSuccess);
  EXPECT_THAT(checkpoints({"list", run_ + "/"}).out, HasSubstr("  newest\n"));
  expect_refused({"list", run_ + "/checkpoints/step-60"},
                 "OUTPUT: " + run_ + "/checkpoints/step-60 is inside of a run's folder: name " + run_);
  const std::string file = folder_.write("file", "");
  expect_refused({"list", file}, "OUTPUT: " + file + " is not a folder");
  folder_.write("run/checkpoints/step-90/manifest.json", "{}");
  for (const std::string format : {"", "--json"}) {
    const CommandRun damaged = format.empty() ? checkpoints({"list", run_}) : checkpoints({"list", run_, format});
    EXPECT_EQ(damaged.code, ExitCode::kFailure);
    EXPECT_EQ(damaged.err, "equipoise checkpoints list: 1 of 2 checkpoints is damaged\n");
    EXPECT_THAT(damaged.out, HasSubstr("manifest.json: "));
    EXPECT_THAT(damaged.out, HasSubstr("newest"));
  }
}

TEST_F(CheckpointsVerb, ARunWithoutCheckpointsIsNoFault) {
  fs::create_directory(run_);
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"list", run_},
                                             {"verify", run_},
                                             {"prune", run_, "--keep", "1"},
                                             {"prune", run_, "--keep", "1", "--dry-run"}}) {
    const CommandRun result = checkpoints(command);
    EXPECT_EQ(result.code, ExitCode::kSuccess) << result.err;
    EXPECT_EQ(result.out, "no checkpoints in " + run_ + "\n");
  }
  EXPECT_EQ(CheckpointJson::parse(checkpoints({"list", run_, "--json"}).out).at("checkpoints"),
            CheckpointJson::array());
  EXPECT_TRUE(fs::is_empty(run_));
}

TEST_F(CheckpointsVerb, PruneKeepsTheNewest) {
  for (const std::int64_t step : {30, 60, 90, 120}) write_checkpoint(folder_, "run", step);
  folder_.write("run/checkpoints/.step-100.1/theta.safetensors", std::string(500, 't'));
  folder_.write("run/checkpoints/.step-130.1/theta.safetensors", "of a later step");
  const auto size = [&](std::int64_t step) { return fs::file_size(checkpoint_folder(run_, step) / "manifest.json"); };
  const auto freed = static_cast<std::int64_t>(size(30) + size(60) + 2 * 1016 + 500);
  const CommandRun dry = checkpoints({"prune", run_, "--keep", "2", "--dry-run"});
  EXPECT_EQ(dry.code, ExitCode::kSuccess) << dry.err;
  EXPECT_THAT(dry.out, StartsWith("would remove step 60: "));
  EXPECT_THAT(dry.out, EndsWith(" would stay, " + size_text(freed) + " would be freed\n"));
  EXPECT_THAT(dry.out, HasSubstr("\nwould remove step 30: "));
  EXPECT_THAT(dry.out, HasSubstr("\nwould remove .step-100.1, no checkpoint: 500 B\n2 checkpoints would stay, "));
  EXPECT_EQ(steps(), (std::vector<std::int64_t>{120, 90, 60, 30}));
  const CommandRun pruned = checkpoints({"prune", run_, "--keep", "2"});
  EXPECT_EQ(pruned.code, ExitCode::kSuccess) << pruned.err;
  EXPECT_THAT(pruned.out, HasSubstr("\nremoved step 30: "));
  EXPECT_THAT(pruned.out, EndsWith(" stay, " + size_text(freed) + " freed\n"));
  EXPECT_THAT(pruned.out, HasSubstr("\nremoved .step-100.1, no checkpoint: 500 B\n2 checkpoints stay, "));
  EXPECT_EQ(steps(), (std::vector<std::int64_t>{120, 90}));
  EXPECT_FALSE(fs::exists(run_ + "/checkpoints/.step-100.1"));
  EXPECT_TRUE(fs::exists(run_ + "/checkpoints/.step-130.1"));
  EXPECT_FALSE(fs::exists(run_ + "/.equipoise-lock"));
  EXPECT_THAT(checkpoints({"prune", run_, "--keep", "2"}).out, StartsWith("2 checkpoints stay, 0 B freed\n"));
}

TEST_F(CheckpointsVerb, PruneKeepsOneThatIsWhole) {
  for (const std::int64_t step : {30, 60, 90}) write_checkpoint(folder_, "run", step);
  folder_.write("run/checkpoints/step-90/theta.safetensors", "theta of step 91");
  const CommandRun pruned = checkpoints({"prune", run_, "--keep", "1"});
  EXPECT_EQ(pruned.code, ExitCode::kSuccess) << pruned.err;
  EXPECT_THAT(pruned.out, StartsWith("removed step 30: "));
  EXPECT_THAT(pruned.out, HasSubstr("\n2 checkpoints stay, "));
  EXPECT_EQ(steps(), (std::vector<std::int64_t>{90, 60}));
}

TEST_F(CheckpointsVerb, PruneWaitsForTheEndOfTheRun) {
  for (const std::int64_t step : {30, 60}) write_checkpoint(folder_, "run", step);
  const OutputLock lock = OutputLock::of_folder({.field = "output", .path = run_},
                                                {.program = "equipoise-worker", .job = "gr-dpo-0123abcd"});
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"prune", run_, "--keep", "1"}, {"prune", run_, "--keep", "1", "--dry-run"}}) {
    const CommandRun refused = checkpoints(command);
    EXPECT_EQ(refused.code, ExitCode::kBadInput);
    EXPECT_THAT(refused.err, StartsWith("equipoise checkpoints prune: OUTPUT: " + run_ +
                                        " is in use by job gr-dpo-0123abcd of equipoise-worker (pid "));
  }
  EXPECT_EQ(steps(), (std::vector<std::int64_t>{60, 30}));
  EXPECT_EQ(checkpoints({"verify", run_}).code, ExitCode::kSuccess);
  EXPECT_EQ(checkpoints({"list", run_}).code, ExitCode::kSuccess);
}

TEST_F(CheckpointsVerb, PruneHasToBeToldHowManyStay) {
  write_checkpoint(folder_, "run", 30);
  EXPECT_THAT(checkpoints({"prune", run_}).err, HasSubstr("--keep is required"));
  for (const std::string keep : {"0", "-1", "x"}) {
    EXPECT_EQ(checkpoints({"prune", run_, "--keep=" + keep}).code, ExitCode::kBadInput);
  }
  EXPECT_EQ(steps(), std::vector<std::int64_t>{30});
}

}  // namespace checkpoints_test
}  // namespace equipoise
