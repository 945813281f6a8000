#include "coordinator/launch/mpirun_launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <future>
#include <sstream>

#include "common/base/error.h"
#include "common/process/attempt_file.h"
#include "common/process/process_handle.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace mpirun_launcher_test {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::string content(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

// A shell script in the place of mpirun.
class MpirunLauncherTest : public ::testing::Test {
 protected:
  void use_script(const std::string& body, Allocation allocation = Allocation::kIgnored) {
    const auto file = folder_.path() / "mpirun";
    std::ofstream(file) << "#!/bin/sh\n" << body << "\n";
    ::chmod(file.c_str(), 0755);
    launcher_.emplace(LaunchSettings{.mpirun = file,
                                     .worker = "/bin/equipoise-worker",
                                     .allocation = allocation,
                                     .logs = folder_.path() / "logs",
                                     .coordinator_address = "127.0.0.1:7",
                                     .chain = chain_},
                      [this](const LaunchExit& exit) { exit_.set_value(exit); });
  }
  // The same in the place of equipoise-shim.
  void use_shim(const std::string& body) {
    const auto file = folder_.path() / "shim";
    std::ofstream(file) << "#!/bin/sh\n" << body << "\n";
    ::chmod(file.c_str(), 0755);
    launcher_.emplace(LaunchSettings{.mpirun = "/bin/true",
                                     .worker = "/bin/true",
                                     .logs = folder_.path() / "logs",
                                     .coordinator_address = "127.0.0.1:7",
                                     .shim = file,
                                     .chain = chain_},
                      [this](const LaunchExit& exit) { exit_.set_value(exit); });
  }
  LaunchExit exit() { return exit_.get_future().get(); }
  std::string log(const std::string& name) { return content(folder_.path() / "logs" / "job" / "3" / name); }
  // Opened by the script for writing once it has set itself up.
  void wait_until_ready() { content(ready_); }

  // As a coordinator that is killed: what it had started goes on.
  void lose_coordinator() {
    launcher_.reset();
    exit_ = {};
  }
  std::filesystem::path file() const { return folder_.path() / "attempts" / "job.3"; }

  Chain chain_ = Chain::kToCoordinator;
  const AttemptKey key_{.job_id = "job", .generation = 3};
  const LaunchRequest request_{.attempt = key_, .workers = 2, .token = "secret"};
  TempFolder folder_;
  std::filesystem::path ready_ = [this] {
    const auto fifo = folder_.path() / "ready";
    ::mkfifo(fifo.c_str(), 0600);
    return fifo;
  }();
  std::promise<LaunchExit> exit_;
  std::optional<MpirunLauncher> launcher_;
};

TEST_F(MpirunLauncherTest, ReportsTheExitCodeAndTheLastLine) {
  use_script("echo started; echo 'model.safetensors: no such file' >&2; exit 7");
  launcher_->start(request_);
  const LaunchExit result = exit();
  EXPECT_EQ(result.attempt, key_);
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_EQ(result.last_line, "model.safetensors: no such file");
  EXPECT_EQ(log("stdout.log"), "started\n");
}

TEST_F(MpirunLauncherTest, TellsWhichRankEndedFirstAndWhatTheyWrote) {
  use_script(
      "echo 'a last word' >&2; echo --------------------------- >&2; echo 'mpirun noticed that process rank 1 with PID "
      "7 on node n2 exited on signal 9 (Killed).' >&2; echo --------------------------- >&2; exit 137");
  launcher_->start(request_);
  const LaunchExit result = exit();
  ASSERT_TRUE(result.first_end);
  EXPECT_EQ(result.first_end->rank, 1);
  EXPECT_EQ(result.first_end->host, "n2");
  EXPECT_EQ(result.first_end->signal, 9);
  EXPECT_THAT(result.log, HasSubstr("a last word\n"));
}

TEST_F(MpirunLauncherTest, TheTokenIsInTheEnvironmentAndNotInTheArguments) {
  use_script("echo \"token $EQUIPOISE_ATTEMPT_TOKEN\"; echo \"$@\"");
  launcher_->start(request_);
  EXPECT_EQ(exit().exit_code, 0);
  EXPECT_THAT(log("stdout.log"), HasSubstr("token secret\n"));
  EXPECT_THAT(log("stdout.log"), HasSubstr("-x EQUIPOISE_ATTEMPT_TOKEN"));
  EXPECT_THAT(log("stdout.log"), HasSubstr("/bin/equipoise-worker --coordinator 127.0.0.1:7"));
  EXPECT_THAT(log("stdout.log"), HasSubstr("--start-timeout 120 --wait 30"));
  EXPECT_EQ(log("stdout.log").find("secret"), log("stdout.log").rfind("secret")) << "once, from the environment";
}

// A job of Slurm over several nodes was handed to mpirun, which looked for srun and failed.
TEST_F(MpirunLauncherTest, AnAllocationIsUsedOnlyIfToldTo) {
  ::setenv("SLURM_JOBID", "77", 1);
  use_script("echo \"job $SLURM_JOBID.\"; echo \"$@\"");
  launcher_->start(request_);
  EXPECT_EQ(exit().exit_code, 0);
  EXPECT_THAT(log("stdout.log"), HasSubstr("job .\n"));
  EXPECT_THAT(log("stdout.log"), HasSubstr("--mca orte_default_hostfile none"));

  exit_ = {};
  use_script("echo \"now $SLURM_JOBID.\"; echo \"again: $@\"", Allocation::kUsed);
  launcher_->start(request_);
  EXPECT_EQ(exit().exit_code, 0);
  ::unsetenv("SLURM_JOBID");
  EXPECT_THAT(log("stdout.log"), HasSubstr("now 77.\n"));
  EXPECT_THAT(log("stdout.log").substr(log("stdout.log").find("again")), Not(HasSubstr("orte_default_hostfile")));
}

TEST_F(MpirunLauncherTest, RunsInAProcessGroupOfItsOwn) {
  use_script("read -r _ _ _ _ group _ < /proc/$$/stat; echo $group $$");
  launcher_->start(request_);
  exit();
  std::istringstream numbers(log("stdout.log"));
  int group = 0, pid = 0;
  numbers >> group >> pid;
  EXPECT_EQ(group, pid);
}

TEST_F(MpirunLauncherTest, TerminateEndsTheWholeGroup) {
  use_script("sleep 1000 & echo > " + ready_.string() + "; wait");
  launcher_->start(request_);
  wait_until_ready();
  launcher_->terminate(key_);
  EXPECT_EQ(exit().exit_code, 128 + SIGTERM);
}

TEST_F(MpirunLauncherTest, KillEndsWhatDoesNotListen) {
  use_script("trap '' TERM; echo > " + ready_.string() + "; while :; do sleep 1000; done");
  launcher_->start(request_);
  wait_until_ready();
  launcher_->terminate(key_);
  launcher_->kill(key_);
  EXPECT_EQ(exit().exit_code, 128 + SIGKILL);
}

TEST_F(MpirunLauncherTest, WhatIsLeftOfTheGroupDiesWithItsLeader) {
  use_script("exec 3> " + ready_.string() + "; sleep 1000 & echo leader ends >&3; exit 0");
  launcher_->start(request_);
  // Both hold the writing end open: this returns when neither is left.
  EXPECT_EQ(content(ready_), "leader ends\n");
  EXPECT_EQ(exit().exit_code, 0);
}

TEST_F(MpirunLauncherTest, EndingTheLauncherEndsItsProcesses) {
  use_script("echo > " + ready_.string() + "; exec sleep 1000");
  launcher_->start(request_);
  wait_until_ready();
  launcher_.reset();
  EXPECT_EQ(exit().exit_code, 128 + SIGKILL);
}

TEST_F(MpirunLauncherTest, AProgramThatIsNotThereIsNamed) {
  MpirunLauncher launcher(
      {.mpirun = "/no/such/mpirun", .worker = "/bin/true", .logs = folder_.path() / "logs", .coordinator_address = ""},
      [this](const LaunchExit& exit) { exit_.set_value(exit); });
  launcher.start(request_);
  const LaunchExit result = exit();
  EXPECT_EQ(result.attempt, key_);
  EXPECT_EQ(result.refusal, "/no/such/mpirun cannot be started: No such file or directory");
  EXPECT_FALSE(std::filesystem::exists(file()));
}

// Every call of every rank waited for it, for up to 30 s.
TEST_F(MpirunLauncherTest, NobodyWaitsForAShimThatDoesNotBegin) {
  use_shim("exec sleep 1000");
  launcher_->start(request_);
  launcher_->terminate(key_);
  EXPECT_THAT(exit().refusal, StartsWith("equipoise-shim has ended with code "));
}

TEST_F(MpirunLauncherTest, WritesTheAttemptsOwnHosts) {
  use_script("while [ \"$1\" != --hostfile ]; do shift; done; cat \"$2\"");
  LaunchRequest request = request_;
  request.hosts = {{.name = "node1", .slots = 1}, {.name = "root@node2", .slots = 3}};
  launcher_->start(request);
  EXPECT_EQ(exit().exit_code, 0);
  EXPECT_EQ(log("stdout.log"), "node1 slots=1\nroot@node2 slots=3\n");
}

// Open MPI refuses this list beside -x: every job failed.
TEST_F(MpirunLauncherTest, TheOperatorsListOfVariablesIsPassedByName) {
  ::setenv("OMPI_MCA_mca_base_env_list", "LISTED;GIVEN=7", 1);
  ::setenv("LISTED", "yes", 1);
  ::setenv("NCCL_SOCKET_IFNAME", "eth7", 1);
  use_script("echo \"[$OMPI_MCA_mca_base_env_list] $GIVEN\"; echo \"$@\"");
  launcher_->start(request_);
  EXPECT_EQ(exit().exit_code, 0);
  for (const char* name : {"OMPI_MCA_mca_base_env_list", "LISTED", "NCCL_SOCKET_IFNAME"}) ::unsetenv(name);
  for (const char* part : {"[] 7\n", "-x GIVEN", "-x LISTED", "-x NCCL_SOCKET_IFNAME"}) {
    EXPECT_THAT(log("stdout.log"), HasSubstr(part));
  }
  EXPECT_THAT(log("stdout.log"), Not(HasSubstr("eth7")));
}

TEST_F(MpirunLauncherTest, TellsThatAHostWasLost) {
  use_script("echo 'ORTE has lost communication with a remote daemon.' >&2; exit 205");
  launcher_->start(request_);
  EXPECT_TRUE(exit().lost_contact);
}

// A launcher whose attempts outlive it.
class LeftAttempts : public MpirunLauncherTest {
 protected:
  LeftAttempts() { chain_ = Chain::kNone; }
  ~LeftAttempts() override {  // whatever a failed test has left
    lose_coordinator();
    use_script("");
    launcher_->find();
    launcher_->kill(key_);
    launcher_.reset();
  }
  // An attempt that runs until a line is written to go_.
  void start_and_lose(const std::string& end) {
    use_script("echo > " + ready_.string() + "; read -r _ < " + go_.string() + "; " + end);
    launcher_->start(request_);
    wait_until_ready();
    lose_coordinator();
  }
  void find() {
    use_script("");
    EXPECT_THAT(launcher_->find(), ElementsAre(key_));
    launcher_->watch_found();
  }
  void let_go() { std::ofstream(go_) << "go\n"; }
  ShimState state() const { return AttemptFile::open(file()).read(); }

  std::filesystem::path go_ = [this] {
    const auto fifo = folder_.path() / "go";
    ::mkfifo(fifo.c_str(), 0600);
    return fifo;
  }();
};

TEST_F(LeftAttempts, OneThatRunsIsFoundAndWatched) {
  start_and_lose("echo 'disk is gone' >&2; exit 7");
  find();
  let_go();
  const LaunchExit result = exit();
  EXPECT_EQ(result.attempt, key_);
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_EQ(result.last_line, "disk is gone");
  EXPECT_FALSE(result.was_away);
  launcher_->forget(key_);
  EXPECT_FALSE(std::filesystem::exists(file()));
  lose_coordinator();
  use_script("");
  EXPECT_THAT(launcher_->find(), IsEmpty());
}

TEST_F(LeftAttempts, OneThatEndedMeanwhileSaysHow) {
  start_and_lose("exit 75");
  const ShimState shim = state();
  const auto process = ProcessHandle::find(shim.pid, shim.start_time);
  ASSERT_NE(process, nullptr);
  let_go();
  pollfd end{.fd = process->descriptor(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&end, 1, -1), 1);
  for (int life = 0; life < 2; ++life) {  // until it is said to be stored
    find();
    const LaunchExit result = exit();
    EXPECT_EQ(result.exit_code, 75);
    EXPECT_TRUE(result.was_away);
    lose_coordinator();
  }
}

TEST_F(LeftAttempts, OneThatIsFoundCanBeEnded) {
  start_and_lose("exit 0");
  find();
  launcher_->terminate(key_);
  EXPECT_EQ(exit().exit_code, 128 + SIGTERM);
}

TEST_F(LeftAttempts, OneThatIsFoundCanBeKilledWithItsShim) {
  start_and_lose("exit 0");
  const ShimState shim = state();
  const auto process = ProcessHandle::find(shim.pid, shim.start_time);
  ASSERT_NE(process, nullptr);
  process->signal(SIGSTOP);  // it does not listen
  find();
  launcher_->kill(key_);
  launcher_->kill(key_);
  const LaunchExit result = exit();
  EXPECT_EQ(result.exit_code, 128 + SIGKILL);
  EXPECT_EQ(result.last_line, "its equipoise-shim was killed");
}

// Nobody knows how it ended, as after the loss of the machine.
TEST_F(LeftAttempts, OneWhoseShimWasKilledIsNotFound) {
  start_and_lose("exit 0");
  const ShimState shim = state();
  const auto process = ProcessHandle::find(shim.pid, shim.start_time);
  ASSERT_NE(process, nullptr);
  process->signal(SIGKILL);
  pollfd end{.fd = process->descriptor(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&end, 1, -1), 1);
  use_script("");
  EXPECT_THAT(launcher_->find(), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(file()));
}

// The file is that of an attempt before a restart of the machine: its number is another program's by now.
TEST_F(LeftAttempts, AStaleFileOfAnotherProcessesNumberIsRemoved) {
  std::filesystem::create_directories(file().parent_path());
  AttemptFile::make(file()).write_shim(::getpid(), *process_start_time(::getpid()));
  std::ofstream(file().parent_path() / "somebody's") << "notes";
  use_script("");
  EXPECT_THAT(launcher_->find(), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(file()));
  EXPECT_TRUE(std::filesystem::exists(file().parent_path() / "somebody's"));
}

TEST_F(LeftAttempts, ALockedFileThatNamesAnotherProcessIsLeftAlone) {
  std::filesystem::create_directories(file().parent_path());
  AttemptFile held = AttemptFile::make(file());
  ASSERT_TRUE(held.lock(file()));
  held.write_shim(::getpid(), *process_start_time(::getpid()) + 1);
  use_script("");
  EXPECT_THAT(launcher_->find(), IsEmpty()) << "this process would be signalled";
  EXPECT_TRUE(std::filesystem::exists(file()));
}

class MpirunCommand : public ::testing::Test {
 protected:
  MpirunCommand() {
    request_.attempt.job_id = "job";
    request_.workers = 4;
    request_.token = "secret";
    request_.hosts = {{.name = "node1", .slots = 4}};
  }
  std::vector<std::string> command(RunAs run_as = RunAs::kUser) {
    const LaunchPlace place{
        .hostfile = "/logs/hosts", .passed = {"NCCL_DEBUG"}, .mca = mca_, .interfaces = interfaces_, .run_as = run_as};
    return mpirun_command(settings_, request_, place);
  }
  std::vector<std::string> variables() {
    const LaunchPlace place{.hostfile = "/logs/hosts", .passed = {}, .mca = mca_, .interfaces = interfaces_};
    return mpirun_variables(settings_, request_, place);
  }
  // The value of --mca `name`; "" where it is not given.
  std::string parameter(const std::string& name) {
    const auto all = command();
    const auto found = std::ranges::find(all, name);
    return found == all.end() ? "" : *std::next(found);
  }

  LaunchSettings settings_{
      .mpirun = "mpirun", .worker = "/bin/equipoise-worker", .logs = {}, .coordinator_address = "head:7443"};
  LaunchRequest request_;
  McaParameters mca_;
  std::vector<std::string> interfaces_{"docker0", "eth0"};
};

TEST_F(MpirunCommand, NoticesADeadHostSoonAndNeverRecoversInPlace) {
  const auto as_root = command(RunAs::kRoot);
  for (const char* argument : {"--oversubscribe", "4", "/logs/hosts", "--allow-run-as-root", "NCCL_DEBUG"}) {
    EXPECT_THAT(as_root, Contains(argument));
  }
  EXPECT_EQ(parameter("oob_tcp_keepalive_time"), "10");
  EXPECT_THAT(as_root, Not(Contains("--enable-recovery")));
  EXPECT_THAT(as_root, Not(Contains("secret")));
  EXPECT_THAT(command(), Not(Contains("--allow-run-as-root")));
}

TEST_F(MpirunCommand, LeavesBridgesOutUnlessNetworksAreChosen) {
  EXPECT_THAT(parameter("btl_tcp_if_exclude"), HasSubstr("127.0.0.0/8,sppp,docker0"));
  // Without "lo" daemons try this machine's loopback address on the other hosts, and may find themselves there. On the
  // command line it would end the daemons of Open MPI 5.
  EXPECT_THAT(variables(), ElementsAre(StartsWith("OMPI_MCA_oob_tcp_if_exclude=lo,docker0")));
  EXPECT_EQ(parameter("oob_tcp_if_exclude"), "");
  request_.mpi_options = {{"btl_tcp_if_include", "eth0"}};
  EXPECT_EQ(parameter("btl_tcp_if_include"), "eth0");
  EXPECT_EQ(parameter("btl_tcp_if_exclude"), "");
  EXPECT_THAT(overruled_variables(request_), Contains("OMPI_MCA_btl_tcp_if_exclude"));
  mca_.of_environment = {{"oob_tcp_if_include", "eth1"}};
  EXPECT_THAT(variables(), IsEmpty());
  request_.hosts.clear();
  request_.mpi_options.clear();
  EXPECT_EQ(parameter("btl_tcp_if_exclude"), "") << "on one machine";
  EXPECT_EQ(parameter("orte_default_hostfile"), "none");
  EXPECT_THAT(variables(), ElementsAre("PRTE_MCA_prte_default_hostfile=none"));
}

// A machine without a network runs its ranks over loopback: left out as well, mpirun would refuse to start.
TEST_F(MpirunCommand, LeavesNothingOutWhereThereIsNothingElse) {
  interfaces_ = {"docker0"};
  EXPECT_THAT(variables(), IsEmpty());
  EXPECT_EQ(parameter("btl_tcp_if_exclude"), "");
}

}  // namespace mpirun_launcher_test
}  // namespace equipoise::coordinator
