// The program itself: what it prints, how it ends, and what it leaves.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include "common/process/child_process.h"
#include "coordinator/store/database.h"
#include "coordinator/store/job_store.h"
#include "equipoise/v1/training.grpc.pb.h"
#include "tests/coordinator/support/damaged_pages.h"
#include "tests/coordinator/support/requests.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace program_test {

using ::testing::HasSubstr;

class ProgramTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string content(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(path(name)).rdbuf();
    return text.str();
  }
  ProgramStart with(std::vector<std::string> arguments, const std::string& name) {
    std::vector<std::string> command = {EQUIPOISE_COORDINATOR, "--metrics-listen", ""};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return {
        .command = command, .environment = {}, .stdout_file = path(name + ".out"), .stderr_file = path(name + ".err")};
  }
  int run(std::vector<std::string> arguments, const std::string& name) {
    return ChildProcess(with(arguments, name)).wait();
  }
  // Waits for the file that is written once the program serves.
  nlohmann::json announced(const std::string& name) const {
    while (!std::filesystem::exists(path(name))) std::this_thread::yield();
    return nlohmann::json::parse(content(name));
  }
  std::vector<std::string> serving(const std::string& state) const {
    return {"--listen", "127.0.0.1:0", "--state", path(state), "--announce", path(state + ".json")};
  }

  static std::unique_ptr<v1::TrainingJobService::Stub> stub(const std::string& address) {
    return v1::TrainingJobService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  }

  TempFolder folder_;
};

TEST_F(ProgramTest, AnnouncesWhereItServesAndEndsInOrderOnSigterm) {
  folder_.write(".a.json.partial-4711", "half");  // of one that was killed
  ChildProcess coordinator(with(serving("a"), "first"));
  const auto announcement = announced("a.json");
  EXPECT_FALSE(std::filesystem::exists(path(".a.json.partial-4711")));
  EXPECT_THAT(announcement.at("address").get<std::string>(), ::testing::StartsWith("127.0.0.1:"));
  EXPECT_GT(announcement.at("pid").get<int>(), 0);
  coordinator.signal_group(SIGTERM);
  EXPECT_EQ(coordinator.wait(), 0);
}

// As its terminal goes. nohup leaves the signal ignored.
TEST_F(ProgramTest, AHangupIsAStopUnlessItIsIgnored) {
  ChildProcess coordinator(with(serving("a"), "first"));
  announced("a.json");
  coordinator.signal_group(SIGHUP);
  EXPECT_EQ(coordinator.wait(), 0);
  EXPECT_THAT(content("first.err"), ::testing::HasSubstr("SIGHUP: stopping"));

  ProgramStart start = with(serving("b"), "second");
  start.command.insert(start.command.begin(), {"/bin/sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""});
  ChildProcess under_nohup(start);
  announced("b.json");
  under_nohup.signal_group(SIGHUP);
  under_nohup.signal_group(SIGTERM);
  EXPECT_EQ(under_nohup.wait(), 0);
  EXPECT_THAT(content("second.err"), ::testing::HasSubstr("SIGTERM: stopping"));
}

TEST_F(ProgramTest, ServesWithoutStandardStreamsAndLogsIntoNoFileOfItsOwn) {
  ProgramStart start = with(serving("a"), "first");
  start.command.insert(start.command.begin(), {"/bin/sh", "-c", "exec \"$0\" \"$@\" <&- >&- 2>&-"});
  ChildProcess coordinator(start);
  const auto pid = announced("a.json").at("pid").get<int>();
  EXPECT_EQ(content("a/lock"), std::to_string(pid) + "\n");
  EXPECT_EQ(std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/fd/2"), "/dev/null");
  coordinator.signal_group(SIGTERM);
  EXPECT_EQ(coordinator.wait(), 0);
  EXPECT_EQ(content("a/lock"), std::to_string(pid) + "\n");
}

TEST_F(ProgramTest, WarnsOfAVariableThatNoProgramReads) {
  ProgramStart start = with(serving("a"), "first");
  start.environment = {"EQUIPOISE_DEVCE=cpu"};
  ChildProcess coordinator(start);
  announced("a.json");
  coordinator.signal_group(SIGTERM);
  EXPECT_EQ(coordinator.wait(), 0);
  EXPECT_THAT(content("first.err"),
              HasSubstr("\"EQUIPOISE_DEVCE\" has no effect, the nearest known name is EQUIPOISE_DEVICE"));
}

TEST_F(ProgramTest, ASecondOneOnTheSameStateNamesTheFirst) {
  ChildProcess first(with(serving("a"), "first"));
  const auto announcement = announced("a.json");
  EXPECT_EQ(run(serving("a"), "second"), 2);
  EXPECT_EQ(content("second.err"), "equipoise-coordinator: state folder " + path("a") +
                                       ": in use by the equipoise-coordinator with pid " +
                                       std::to_string(announcement.at("pid").get<int>()) + "\n");
  first.signal_group(SIGTERM);
  EXPECT_EQ(first.wait(), 0);
}

TEST_F(ProgramTest, APortInUseIsOneClearLine) {
  ChildProcess first(with(serving("a"), "first"));
  const std::string address = announced("a.json").at("address");
  EXPECT_EQ(run({"--listen", address, "--state", path("b")}, "second"), 2);
  EXPECT_EQ(content("second.err"), "equipoise-coordinator: --listen " + address +
                                       ": cannot listen there; the port is in use or the host is not this machine\n");
  first.signal_group(SIGTERM);
  EXPECT_EQ(first.wait(), 0);
}

TEST_F(ProgramTest, BadFlagsAreOneClearLineAndLeaveNothing) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--listen", "nowhere"}, "--listen is \"nowhere\", expected HOST:PORT"},
      {{"--listen", "0.0.0.0:0"}, "--listen is 0.0.0.0:0, which other machines can reach"},
      {{"--max-running-jobs", "0"}, "--max-running-jobs"},
      {{"--worker", "/no/such/worker"}, "--worker is \"/no/such/worker\", expected a file that is there"},
      {{"--stat=x"}, "unknown option \"--stat=x\", the nearest known one is --state; see equipoise-coordinator --help"},
      {{"--colour"}, "unknown option \"--colour\"; see equipoise-coordinator --help"},
      {{"7443"}, "takes no \"7443\"; see equipoise-coordinator --help"},
  };
  for (const auto& [arguments, text] : cases) {
    auto all = arguments;
    all.insert(all.end(), {"--state", path("none")});
    const std::string name = std::to_string(&arguments - &cases[0].first);
    EXPECT_EQ(run(all, name), 2) << text;
    EXPECT_THAT(content(name + ".err"), HasSubstr(text));
    const std::string error = content(name + ".err");
    EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;
    EXPECT_FALSE(std::filesystem::exists(path("none")));
  }
}

TEST_F(ProgramTest, KillingAChainedOneEndsItsJobsProcessesAndTheNextOneSaysSo) {
  const auto alive = path("alive"), mpirun = path("mpirun");
  ::mkfifo(alive.c_str(), 0600);
  // It holds the writing end of `alive` open: reading ends when it has ended.
  std::ofstream(mpirun) << "#!/bin/sh\nexec > " << alive << "\necho started\nexec sleep 1000\n";
  ::chmod(mpirun.c_str(), 0755);
  auto arguments = serving("a");
  arguments.insert(arguments.end(), {"--mpirun", mpirun, "--worker", "/bin/true", "--exit-with-parent"});
  v1::TrainingJob job;
  {
    ChildProcess first(with(arguments, "first"));
    const auto people = stub(announced("a.json").at("address"));
    grpc::ClientContext context;
    ASSERT_TRUE(
        people->CreateTrainingJob(&context, create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 2)), &job).ok());
    std::ifstream reader(alive);
    std::string line;
    std::getline(reader, line);
    EXPECT_EQ(line, "started");
    first.signal_group(SIGKILL);
    EXPECT_EQ(first.wait(), 128 + SIGKILL);
    EXPECT_FALSE(std::getline(reader, line)) << "its mpirun is gone too";
  }
  std::filesystem::remove(path("a.json"));
  ChildProcess second(with(arguments, "second"));
  const auto people = stub(announced("a.json").at("address"));
  grpc::ClientContext context;
  v1::GetTrainingJobRequest request;
  request.set_id(job.id());
  ASSERT_TRUE(people->GetTrainingJob(&context, request, &job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job.state_reason(), "the coordinator was lost while the job was STARTING");
  second.signal_group(SIGTERM);
  EXPECT_EQ(second.wait(), 0);
}

TEST_F(ProgramTest, ChecksAStateFolderAndSetsDamagedJobsAside) {
  std::filesystem::create_directory(path("a"));
  const std::filesystem::path file = path("a") + "/coordinator.sqlite3";
  v1::TrainingJob job;
  job.set_id("survey-1");
  job.set_state(v1::JOB_STATE_QUEUED);
  JobStore(file).insert_job(job, std::nullopt);
  EXPECT_EQ(run({"--check", "--state", path("a")}, "whole"), 0);
  EXPECT_EQ(content("whole.out"), "1 jobs checked, 0 damaged\n");

  Database(file).execute("UPDATE jobs SET job = x'ff'");
  EXPECT_EQ(run({"--check", "--state", path("a")}, "damaged"), 1);
  EXPECT_EQ(content("damaged.out"), "job survey-1: its record cannot be read\n1 jobs checked, 1 damaged\n");
  EXPECT_EQ(run({"--check", "--quarantine", "--state", path("a")}, "aside"), 0);
  EXPECT_EQ(content("aside.out"), "job survey-1: set aside: its record cannot be read\n1 jobs checked, 1 damaged\n");
  EXPECT_EQ(run({"--check", "--state", path("a")}, "again"), 0);
  EXPECT_EQ(content("again.out"),
            "job survey-1: set aside before: its record cannot be read\n1 jobs checked, 0 damaged\n");
}

TEST_F(ProgramTest, SaysThatTheFileItselfIsDamaged) {
  std::filesystem::create_directory(path("a"));
  const std::filesystem::path file = path("a") + "/coordinator.sqlite3";
  JobStore(file).signing_key();     // a new one
  std::vector<std::int64_t> pages;  // all but those that say which tables there are
  {
    Database database(file);
    Statement found(database, "SELECT pageno FROM dbstat WHERE name != 'sqlite_schema'");
    for (found.begin(); found.next();) pages.push_back(found.integer(0));
  }
  for (const std::int64_t page : pages) {
    constexpr std::size_t kPageBytes = 4096;
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp((page - 1) * static_cast<std::int64_t>(kPageBytes));
    bytes << std::string(kPageBytes, '\xff');
  }
  EXPECT_EQ(run({"--check", "--state", path("a")}, "damaged"), 1);
  EXPECT_THAT(content("damaged.out"), HasSubstr("database: "));
  EXPECT_THAT(content("damaged.out"), HasSubstr("database: how many rows table jobs had is not known"));
  EXPECT_THAT(content("damaged.out"), HasSubstr("0 jobs checked, 0 damaged\n"));
}

// It ended with code 2 at every start, and nothing but a backup helped.
TEST_F(ProgramTest, ServesAndRepairsWhatIsLeftOfADamagedTableOfJobs) {
  std::filesystem::create_directory(path("a"));
  const std::filesystem::path file = path("a") + "/coordinator.sqlite3";
  {
    JobStore store(file);
    for (int i = 0; i < 40; ++i) {
      v1::TrainingJob job;
      job.set_id("survey-" + std::to_string(i));
      job.set_state(v1::JOB_STATE_SUCCEEDED);
      job.set_state_reason(std::string(1'000, 'x'));  // some three of them a page
      store.insert_job(job, std::nullopt);
    }
  }
  destroy_leaf(file, "jobs", 4);
  EXPECT_EQ(run({"--check", "--state", path("a")}, "damaged"), 1);
  EXPECT_THAT(content("damaged.out"), HasSubstr(": its record cannot be read: "));
  EXPECT_THAT(content("damaged.out"), HasSubstr("database: "));

  {
    ChildProcess coordinator(with(serving("a"), "first"));
    const auto people = stub(announced("a.json").at("address"));
    grpc::ClientContext context;
    v1::ListTrainingJobsResponse listed;
    ASSERT_TRUE(people->ListTrainingJobs(&context, {}, &listed).ok());
    EXPECT_EQ(listed.jobs_size(), 40);
    const auto failed = std::ranges::count_if(
        listed.jobs(), [](const v1::TrainingJob& job) { return job.state() == v1::JOB_STATE_FAILED; });
    EXPECT_GE(failed, 1);
    EXPECT_LE(failed, 5);
    coordinator.signal_group(SIGTERM);
    EXPECT_EQ(coordinator.wait(), 0);
  }

  EXPECT_EQ(run({"--check", "--quarantine", "--state", path("a")}, "aside"), 1) << "the database was damaged";
  EXPECT_THAT(content("aside.out"), HasSubstr("database: table jobs is made anew from what could be read"));
  EXPECT_EQ(run({"--check", "--state", path("a")}, "again"), 0) << content("again.out");
  EXPECT_THAT(content("again.out"), HasSubstr("40 jobs checked, 0 damaged\n"));
}

// Whoever opens a FIFO waits for ever.
TEST_F(ProgramTest, RefusesAStateFolderWhoseFilesAreNone) {
  const std::string database = "coordinator.sqlite3";
  for (const std::string& name : {std::string("lock"), std::string("reserve"), database, database + "-wal",
                                  database + "-shm", database + "-journal", std::string("webhook")}) {
    std::filesystem::remove_all(path("a"));
    std::filesystem::create_directory(path("a"));
    if (name != database) JobStore(path("a") + "/" + database);
    ASSERT_EQ(::mkfifo((path("a") + "/" + name).c_str(), 0600), 0);
    const std::string wanted =
        "equipoise-coordinator: state folder " + path("a") + ": " + name + " is a FIFO, expected a file\n";
    for (const std::vector<std::string>& how : {std::vector<std::string>{"--listen", "127.0.0.1:0"}, {"--check"}}) {
      std::vector<std::string> arguments = how;
      arguments.insert(arguments.end(), {"--state", path("a")});
      EXPECT_EQ(run(arguments, name + how.front()), 2);
      EXPECT_EQ(content(name + how.front() + ".err"), wanted);
    }
  }
  std::filesystem::remove_all(path("a"));
  std::filesystem::create_directory(path("a"));
  std::ofstream(path("a") + "/logs") << "no folder";
  EXPECT_EQ(run({"--listen", "127.0.0.1:0", "--state", path("a")}, "logs"), 2);
  EXPECT_EQ(content("logs.err"), "equipoise-coordinator: state folder " + path("a") + ": logs is not a folder\n");
}

// Ranks would take what is behind the colon for another root.
TEST_F(ProgramTest, RefusesARootThatLeadsToAPathWithAColon) {
  std::filesystem::create_directory(path("data:"));
  std::filesystem::create_directory_symlink(path("data:"), path("data"));
  EXPECT_EQ(run({"--listen", "127.0.0.1:0", "--state", path("a"), "--root", path("data")}, "root"), 2);
  EXPECT_EQ(content("root.err"), "equipoise-coordinator: --root is \"" + path("data") +
                                     "\", expected a folder that is there, without a colon\n");
}

TEST_F(ProgramTest, ChecksNoStateFolderThatIsServedOrIsNotThere) {
  EXPECT_EQ(run({"--check", "--state", path("none")}, "none"), 2);
  EXPECT_EQ(content("none.err"),
            "equipoise-coordinator: state folder " + path("none") + ": has no coordinator.sqlite3\n");
  EXPECT_FALSE(std::filesystem::exists(path("none")));
  EXPECT_EQ(run({"--quarantine", "--state", path("none")}, "alone"), 2) << "without --check";

  ChildProcess coordinator(with(serving("a"), "first"));
  announced("a.json");
  EXPECT_EQ(run({"--check", "--state", path("a")}, "served"), 2);
  EXPECT_THAT(content("served.err"), HasSubstr("in use by the equipoise-coordinator with pid "));
  coordinator.signal_group(SIGTERM);
  EXPECT_EQ(coordinator.wait(), 0);
}

TEST_F(ProgramTest, EndsWithItsParentWhenAsked) {
  const auto alive = path("alive");
  ::mkfifo(alive.c_str(), 0600);
  // The coordinator holds the writing end of `alive` open as its standard output; reading ends when it has ended.
  const std::string command = std::string(EQUIPOISE_COORDINATOR) +
                              " --exit-with-parent --metrics-listen '' --listen 127.0.0.1:0 --state " + path("a") +
                              " --announce " + path("a.json") + " > " + alive + " & while [ ! -e " + path("a.json") +
                              " ]; do :; done; kill -9 $$";
  ChildProcess shell({.command = {"/bin/bash", "-c", "set -m; " + command},
                      .environment = {},
                      .stdout_file = path("shell.out"),
                      .stderr_file = path("shell.err")});
  std::ifstream reader(alive);
  EXPECT_EQ(shell.wait(), 128 + SIGKILL);
  EXPECT_EQ(reader.get(), std::ifstream::traits_type::eof());
}

}  // namespace program_test
}  // namespace equipoise::coordinator
