// `equipoise convert` as people call it.
#include <gmock/gmock.h>

#include "common/config/job_file.h"
#include "tests/client/support/command_run.h"
#include "tests/support/temp_folder.h"

namespace equipoise::convert_verb_test {
namespace {

using testing::HasSubstr;
using testing::Not;

class ConvertVerb : public testing::Test {
 protected:
  ConvertVerb() {
    folder_.write("train.jsonl", "{\"prompt\": \"p\", \"chosen\": \"c\", \"rejected\": \"r\"}\n");
    folder_.write("model/config.json", "{}");
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string config(const std::string& more) const {
    return folder_
        .write("dpo.yaml", "model_name_or_path: " + path("model") +
                               "\ndatasets: [{path: json, data_files: " + path("train.jsonl") + "}]\n" + more)
        .string();
  }
  TempFolder folder_;
};

TEST_F(ConvertVerb, PrintsAJobThatTrainReads) {
  const CommandRun result = run({"convert", config("max_steps: 5\nreport_to: wandb\n")});
  EXPECT_EQ(result.code, ExitCode::kSuccess) << result.err;
  const auto spec = read_job_file(folder_.write("job.yaml", result.out), {});
  EXPECT_EQ(spec.training().max_steps(), 5);
  EXPECT_EQ(spec.model().path(), path("model"));
  EXPECT_THAT(result.out, HasSubstr("# - " + path("dpo.yaml") + ":4: report_to: has no effect"));
}

TEST_F(ConvertVerb, WritesAFileAndDoesNotReplaceOne) {
  const std::string file = config("");
  EXPECT_EQ(run({"convert", file, "--output", path("job.yaml")}).code, ExitCode::kSuccess);
  EXPECT_EQ(read_job_file(path("job.yaml"), {}).training().epochs(), 3);
  const CommandRun again = run({"convert", file, "--output", path("job.yaml")});
  EXPECT_EQ(again.code, ExitCode::kBadInput);
  EXPECT_THAT(again.err, HasSubstr("--overwrite"));
  EXPECT_EQ(run({"convert", file, "--output", path("job.yaml"), "--overwrite"}).code, ExitCode::kSuccess);
}

TEST_F(ConvertVerb, ReadsTheCommandLineOfTrl) {
  const CommandRun result = run({"convert", "--", "trl", "dpo", "--config", config("beta: 0.2\n"), "--beta", "0.4"});
  EXPECT_EQ(result.code, ExitCode::kSuccess) << result.err;
  EXPECT_THAT(result.out, HasSubstr("beta: 0.4"));
}

TEST_F(ConvertVerb, NamesAllFaultsAndWritesNothing) {
  const CommandRun result =
      run({"convert", config("ld_alpha: 0.5\nneftune_noise_alpha: 3\n"), "--output", path("job.yaml")});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("dpo.yaml:3: ld_alpha: refused: it is not implemented\n"));
  EXPECT_THAT(result.err, HasSubstr("dpo.yaml:4: neftune_noise_alpha"));
  EXPECT_THAT(result.err, HasSubstr("no job was written: see the 2 lines above"));
  EXPECT_FALSE(std::filesystem::exists(path("job.yaml")));
}

TEST_F(ConvertVerb, RefusesAJobThatTrainWouldRefuse) {
  const CommandRun result = run({"convert", config("beta: -1\n")});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("the job would be refused: "));
}

TEST_F(ConvertVerb, LetsNoTextOfAFileOutOfItsComment) {
  const CommandRun result = run({"convert", config("\"run\\nname\": x\n")});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, Not(HasSubstr("run\nname")));
}

}  // namespace
}  // namespace equipoise::convert_verb_test
