#include "client/command_line/run_command.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/client/support/command_run.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace run_command_test {

using testing::HasSubstr;
using testing::StartsWith;

// A TCP port that belongs to this test and at which nobody listens.
class SilentPort {
 public:
  SilentPort() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    text_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~SilentPort() { close(socket_); }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;
  const std::string& text() const { return text_; }

 private:
  int socket_;
  std::string text_;
};

void expect_bad_input(const std::vector<std::string>& arguments, const std::string& line) {
  const CommandRun result = run(arguments);
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_EQ(result.err, line + "\n");
  EXPECT_EQ(result.out, "");
}

TEST(RunCommand, NamesTheNearestVerb) {
  const CommandRun result = run({"trian", "job.yaml"});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, StartsWith("equipoise: unknown verb \"trian\", the nearest known one is \"train\""));
  expect_bad_input(
      {"jobs", "lst"},
      "equipoise jobs: unknown verb \"lst\", the nearest known one is \"list\" (there are: list, get, watch, "
      "pause, resume, checkpoint, evaluate, set, fork, tree, cancel, delete, ranks, weights, attempts, checkpoints, "
      "events, report)");
}

TEST(RunCommand, NamesNoVerbAndNoFlagThatIsNothingLikeIt) {
  EXPECT_THAT(run({"nonsense"}).err,
              StartsWith("equipoise: unknown verb \"nonsense\", expected one of: train, submit, "));
  expect_bad_input({"train", "--frobnicate", "job.yaml"},
                   "equipoise train: unknown option \"--frobnicate\"; see equipoise train --help");
}

TEST(RunCommand, NamesTheNearestFlag) {
  expect_bad_input({"train", "--nq", "2", "job.yaml"},
                   "equipoise train: unknown option \"--nq\", the nearest known one is --np");
  expect_bad_input({"jobs", "get", "x", "--coordinatr=h:1"},
                   "equipoise jobs get: unknown option \"--coordinatr=h:1\", the nearest known one is --coordinator");
}

TEST(RunCommand, ASettingGivenAsAnOptionIsNamedAsASetting) {
  expect_bad_input({"train", "job.yaml", "--learning_rate", "1e-5"},
                   "equipoise train: unknown option \"--learning_rate\", a setting of the job is --set "
                   "optimizer.learning_rate=VALUE");
  expect_bad_input({"submit", "job.yaml", "--lr=1e-5"},
                   "equipoise submit: unknown option \"--lr=1e-5\", as a setting of the job expected "
                   "optimizer.learning_rate");
  EXPECT_THAT(run({"train", "job.yaml", "--report_to", "wandb"}).err, HasSubstr("a job has no such setting: metrics"));
}

TEST(RunCommand, PrintsAComparisonInTheFormatThatIsAskedFor) {
  const TempFolder folder;
  folder.write("a,b/metrics.jsonl", R"({"split": "validation", "step": 0, "group_loss": {"x": 0.5, "y|z": 0.25}, )"
                                    R"("group_loss_error": {"x": 0.125}})"
                                    "\n");
  const std::string path = (folder.path() / "a,b").string();
  EXPECT_EQ(run({"compare", path, "--format", "csv"}).out,
            "run,group,steps,loss_before,loss_after,loss_after_error,accuracy_before,accuracy_after,"
            "accuracy_after_error\n"
            "\"a,b\",x,0,0.5,0.5,0.125,,,\n"
            "\"a,b\",y|z,0,0.25,0.25,,,,\n");
  EXPECT_THAT(run({"compare", path, "--format", "markdown"}).out, HasSubstr("\n| y\\|z | "));
  EXPECT_THAT(run({"compare", path, "--format", "latex"}).out, StartsWith("\\begin{tabular}{"));
  EXPECT_EQ(run({"compare", path, "--format", "text"}).out, run({"compare", path}).out);
  EXPECT_EQ(run({"compare", path, "-o", "yaml"}).out,
            "runs:\n"
            "- name: \"a,b\"\n"
            "  first_step: 0\n"
            "  last_step: 0\n"
            "  worst_before:\n"
            "    group: x\n"
            "    loss: 0.5\n"
            "    lowest_accuracy: null\n"
            "  worst_after:\n"
            "    group: x\n"
            "    loss: 0.5\n"
            "    lowest_accuracy: null\n"
            "  groups:\n"
            "  - name: x\n"
            "    before:\n"
            "      loss: 0.5\n"
            "      loss_error: 0.125\n"
            "      accuracy: null\n"
            "      accuracy_error: null\n"
            "      weight: null\n"
            "    after:\n"
            "      loss: 0.5\n"
            "      loss_error: 0.125\n"
            "      accuracy: null\n"
            "      accuracy_error: null\n"
            "      weight: null\n"
            "  - name: \"y|z\"\n"
            "    before:\n"
            "      loss: 0.25\n"
            "      loss_error: null\n"
            "      accuracy: null\n"
            "      accuracy_error: null\n"
            "      weight: null\n"
            "    after:\n"
            "      loss: 0.25\n"
            "      loss_error: null\n"
            "      accuracy: null\n"
            "      accuracy_error: null\n"
            "      weight: null\n");
  EXPECT_THAT(
      run({"compare", path, "--format", "html"}).err,
      StartsWith("equipoise compare: -o is \"html\", expected one of: text, wide, json, yaml, csv, markdown, latex"));
}

TEST(RunCommand, SaysWhatIsMissing) {
  expect_bad_input({"train"}, "equipoise train: JOB.yaml is required; see equipoise train --help");
  expect_bad_input(
      {"jobs"},
      "equipoise jobs: a verb is missing, expected one of: list, get, watch, pause, resume, checkpoint, evaluate, "
      "set, fork, tree, cancel, delete, ranks, weights, attempts, checkpoints, events, report");
  const CommandRun nothing = run({});
  EXPECT_EQ(nothing.code, ExitCode::kBadInput);
  EXPECT_THAT(nothing.err, StartsWith("equipoise: a verb is missing, expected one of: train, submit, "));
}

// As from --output "$UNSET": it counted as not given, or ended with 1 and the words of the file system's library.
TEST(RunCommand, RefusesAnEmptyValue) {
  const std::vector<std::vector<std::string>> commands = {
      {"data", "import", "preferences", "x.jsonl", "--output", ""},
      {"data", "import", "preferences", "x.jsonl", "--output", "y", "--validation", ""},
      {"data", "import", "opinionqa", "x.jsonl", "--output", ""},
      {"data", "generate", ""},
      {"data", "log-linear", ""},
      {"data", "check", ""},
      {"data", "check", "x.jsonl", "--group", ""},
      {"model", "init", "", "--data", "x.jsonl"},
      {"train", "", "--np", "1"},
      {"train", "job.yaml", "--output", ""},
      {"evaluate", "--model", "m", "--adapter", "", "--data", "d", "--output", "o"},
      {"export", "--model", "m", "--adapter", "a", "--merge", "--output", ""},
      {"compare", ""},
      {"jobs", "get", "", "--coordinator", "127.0.0.1:1"}};
  for (const std::vector<std::string>& command : commands) {
    const CommandRun result = run(command);
    EXPECT_EQ(result.code, ExitCode::kBadInput) << result.err;
    EXPECT_THAT(result.err, HasSubstr(" is empty, expected a value\n"));
  }
  EXPECT_THAT(run({"data", "check", "absent", "--group-separator", ""}).err,
              HasSubstr("absent: there is no such file"));
}

TEST(RunCommand, CallsOneOutputForTwoSidesABadArgument) {
  const TempFolder folder;
  const std::string pairs = folder.write("x.jsonl", R"({"prompt":"p","chosen":"c","rejected":"r"})").string();
  const std::string at = folder.path().string() + "/";
  std::filesystem::create_symlink("t", at + "link");
  for (const std::string other : {"t", "./t", "a/../t", "link"}) {
    const CommandRun result =
        run({"data", "import", "preferences", pairs, "--output", at + "t", "--validation", at + other});
    EXPECT_EQ(result.code, ExitCode::kBadInput);
    EXPECT_THAT(result.err, HasSubstr("is the output for both train and validation")) << other;
  }
  const auto fault = [&](const std::string& train, const std::string& validation) {
    const CommandRun result =
        run({"data", "import", "preferences", pairs, "--output", at + train, "--validation", at + validation});
    EXPECT_EQ(result.code, ExitCode::kBadInput);
    return result.err;
  };
  EXPECT_THAT(fault("t", "t/v"), HasSubstr("t/v: is inside of "));
  EXPECT_THAT(fault("t/v", "t"), HasSubstr("t/v: is inside of "));
  EXPECT_THAT(fault("t/", "v"), HasSubstr("t/: ends as a folder does"));
  EXPECT_FALSE(std::filesystem::exists(at + "t"));
}

TEST(RunCommand, AnswersHelpForEveryVerb) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"--help"}, {"train", "--help"}, {"jobs", "watch", "--help"}, {"data", "import", "opinionqa", "--help"}}) {
    const CommandRun result = run(arguments);
    EXPECT_EQ(result.code, ExitCode::kSuccess);
    EXPECT_EQ(result.err, "");
    EXPECT_THAT(result.out, HasSubstr("Usage: equipoise"));
  }
}

TEST(RunCommand, RefusesAnAddressThatIsNotHostAndPort) {
  for (const std::string address : {"host", "host:", ":1", "host:0", "host:65536", "host:1x", "a b:1", "::1:7443"}) {
    const CommandRun result = run({"jobs", "list", "--coordinator", address});
    EXPECT_EQ(result.code, ExitCode::kBadInput) << address;
    EXPECT_THAT(result.err, HasSubstr("expected HOST:PORT")) << address;
  }
}

TEST(RunCommand, SaysWhereNoCoordinatorAnsweredAndHowLongItWaited) {
  const SilentPort port;
  expect_bad_input(
      {"jobs", "list", "--coordinator", port.text(), "--timeout", "1"},
      "equipoise jobs list: no coordinator answered at " + port.text() +
          " within 1 s; is equipoise-coordinator running there? One with TLS is called with --tls-ca FILE");
}

const char* kJob =
    "name: job\n"
    "model: {path: model}\n"
    "data: {train: train.jsonl}\n"
    "output: out\n";

TEST(RunCommand, ChecksAJobsFilesBeforeItStartsAnything) {
  const TempFolder folder;
  const std::string job = folder.write("job.yaml", kJob).string();
  const std::string at = folder.path().string();
  expect_bad_input({"train", job}, "equipoise train: " + job + ":2: model.path: " + at +
                                       "/model does not exist, expected a Hugging Face model folder; if this is a "
                                       "model of the Hub, download it first: hf download OWNER/model --local-dir " +
                                       at + "/model");
  folder.write("model/config.json", "{}");
  expect_bad_input({"train", job},
                   "equipoise train: " + job + ":2: model.path: " + at + "/model has no tokenizer.json");
  folder.write("model/tokenizer.json", "{}");
  expect_bad_input({"train", job}, "equipoise train: " + job + ":2: model.path: " + at + "/model has no *.safetensors");
  folder.write("model/model.safetensors", "");
  expect_bad_input({"train", job}, "equipoise train: " + job + ":2: model.path: " + at +
                                       "/model/model.safetensors is empty: download it again");
  folder.write("model/model.safetensors", std::string("\2\0\0\0\0\0\0\0{}", 10));  // of no tensors
  expect_bad_input({"train", job}, "equipoise train: " + job + ":3: data.train: " + at + "/train.jsonl does not exist");
  folder.write("train.jsonl", "");
  folder.write("out/metrics.jsonl", "");
  expect_bad_input(
      {"train", job},
      "equipoise train: " + job + ":4: output: " + at +
          "/out holds a run already (metrics.jsonl): --overwrite (overwrite: true) replaces it, --output names another "
          "folder");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "out/job.yaml"));
}

class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name), before_(std::getenv(name)) { ::setenv(name, value, 1); }
  ~Variable() {
    if (before_ == nullptr) {
      ::unsetenv(name_);
    } else {
      ::setenv(name_, text_.c_str(), 1);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  const char* before_;
  std::string text_ = before_ == nullptr ? "" : before_;
};

// A mistyped name had no effect, and nobody said so.
TEST(RunCommand, WarnsOnceOfAVariableThatNoProgramReads) {
  const Variable mistyped("EQUIPOISE_DEVCE", "cpu");
  const CommandRun result = run({"version"});
  EXPECT_EQ(result.code, ExitCode::kSuccess);
  EXPECT_EQ(result.err,
            "equipoise: warning: the environment variable \"EQUIPOISE_DEVCE\" has no effect, the nearest known name is "
            "EQUIPOISE_DEVICE\n");
}

TEST(RunCommand, ChecksTheEnvironmentOfTheRanksBeforeItStartsAnything) {
  const TempFolder folder;
  const std::string job = folder.write("job.yaml", kJob).string();
  const std::vector<std::string> evaluate = {"evaluate", "--model", "m", "--data", "d", "--output", "o"};
  for (const auto& command : {std::vector<std::string>{"train", job}, evaluate}) {
    const std::string start = "equipoise " + command.front() + ": ";
    {
      const Variable cache("EQUIPOISE_CACHE", "cache");
      expect_bad_input(command, start +
                                    "EQUIPOISE_CACHE is \"cache\", expected the absolute path of a folder, such as "
                                    "/var/tmp/equipoise");
    }
    {
      const Variable threads("OMP_NUM_THREADS", "all");
      expect_bad_input(command, start +
                                    "OMP_NUM_THREADS is \"all\", expected a whole number of threads from 1 on, or "
                                    "nothing");
    }
    const Variable device("EQUIPOISE_DEVICE", "gpu");
    expect_bad_input(command, start + "EQUIPOISE_DEVICE is \"gpu\", expected cpu or cuda");
  }
  const Variable coordinator("EQUIPOISE_COORDINATOR", "head");
  expect_bad_input({"jobs", "list"},
                   "equipoise jobs list: the coordinator's address is \"head\", expected HOST:PORT such as "
                   "127.0.0.1:7443 (--coordinator or EQUIPOISE_COORDINATOR)");
}

TEST(RunCommand, AppliesSettingsFromTheCommandLine) {
  const TempFolder folder;
  const std::string job = folder.write("job.yaml", kJob).string();
  const CommandRun result = run({"train", job, "--set", "loss.beta=-1"});
  EXPECT_EQ(result.code, ExitCode::kBadInput);
  EXPECT_THAT(result.err, HasSubstr("loss.beta"));
}

TEST(RunCommand, GeneratesImportsAndInitialisesFromNothing) {
  const TempFolder folder;
  const std::string at = folder.path().string();
  const CommandRun generated = run({"data", "generate", at + "/survey.jsonl", "--questions", "70"});
  ASSERT_EQ(generated.code, ExitCode::kSuccess) << generated.err;
  EXPECT_THAT(generated.out, HasSubstr("70 questions"));
  const CommandRun imported = run({"data", "import", "opinionqa", at + "/survey.jsonl", "--output", at + "/data"});
  ASSERT_EQ(imported.code, ExitCode::kSuccess) << imported.err;
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "data/validation.jsonl"));
  const CommandRun model = run({"model", "init", at + "/model", "--data", at + "/data/train.jsonl", "--layers", "1"});
  ASSERT_EQ(model.code, ExitCode::kSuccess) << model.err;
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "model/tokenizer.json"));
}

}  // namespace run_command_test
}  // namespace equipoise
