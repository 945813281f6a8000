#include "common/process/mpirun_notice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace equipoise {
namespace mpirun_notice_test {

MpirunNotice notice(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return read_notice(lines);
}

struct Case {
  const char* text;  // as Open MPI 4.1.4 writes it
  NoticeWeight weight;
  const char* line;
};

class KnownNotice : public testing::TestWithParam<Case> {};

TEST_P(KnownNotice, IsItsCauseInOneLine) {
  const MpirunNotice read = notice(GetParam().text);
  EXPECT_EQ(read.text, GetParam().line);
  EXPECT_EQ(read.weight, GetParam().weight);
}

INSTANTIATE_TEST_SUITE_P(
    OpenMpi, KnownNotice,
    testing::Values(
        Case{"ORTE has lost communication with a remote daemon.\n\n"
             "  HNP daemon   : [[5884,0],0] on node node1\n  Remote daemon: [[5884,0],2] on node node3\n\n"
             "This is usually due to either a failure of the TCP network\nconnection to the node, or possibly an "
             "internal"
             " failure of\nthe daemon itself. We cannot recover from this failure, and\ntherefore will terminate the "
             "job.\n",
             NoticeWeight::kCause,
             "lost contact with node3: the host, its network, or Open MPI's daemon there has failed"},
        Case{"A process or daemon was unable to complete a TCP connection\nto another process:\n"
             "  Local host:    node2\n  Remote host:   node1\n"
             "This is usually caused by a firewall on the remote host. Please\ncheck that any firewall (e.g., "
             "iptables) has"
             " been disabled and\ntry again.\n",
             NoticeWeight::kCause,
             "node2 cannot open a TCP connection to node1: check the firewall of node1, and which network Open MPI "
             "takes "
             "(oob_tcp_if_include)"},
        Case{"At least one pair of MPI processes are unable to reach each other for\nMPI communications.  This means "
             "that no"
             " Open MPI device has indicated\nthat it can be used to communicate between these processes.\n\n"
             "  Process 1 ([[5499,1],1]) is on host: node3\n  Process 2 ([[5499,1],0]) is on host: node2\n"
             "  BTLs attempted: self\n\nYour MPI job is now going to abort; sorry.\n",
             NoticeWeight::kCause,
             "the ranks on node3 and node2 have no network in common that Open MPI may use: check btl_tcp_if_include "
             "and "
             "btl_tcp_if_exclude"},
        Case{"WARNING: Open MPI failed to TCP connect to a peer MPI process.  This\nshould not happen.\n\n"
             "Your Open MPI job may now hang or fail.\n\n  Local host: node2\n  PID:        15521\n"
             "  Message:    connect() to 172.17.0.1:1032 failed\n  Error:      Operation now in progress (115)\n",
             NoticeWeight::kWarning,
             "node2: connect() to 172.17.0.1:1032 failed: Operation now in progress (115); check the firewalls, and "
             "which "
             "network Open MPI takes (btl_tcp_if_include)"},
        Case{
            "Open MPI detected a mismatch in versions between two processes.  This\ntypically means that you executed"
            " \"mpirun\" (or \"mpiexec\") from one\nversion of Open MPI on on node.\n\n"
            "  Local host:             node1\n  Local process name:     [[5884,0],0]\n  Local Open MPI version: 4.1.4\n"
            "  Peer host:              node2\n  Peer process name:      [[5884,0],1]\n  Peer Open MPI version:  "
            "4.0.3\n",
            NoticeWeight::kCause,
            "Open MPI is 4.1.4 on node1 and 4.0.3 on node2: install the same version on all hosts"},
        Case{"ORTE was unable to reliably start one or more daemons.\nThis usually is caused by:\n\n* not finding the"
             " required libraries and/or binaries on\n  one or more nodes.\n",
             NoticeWeight::kConsequence,
             "Open MPI's daemon on a host could not be started or was lost: it needs ssh without a password, the same "
             "Open MPI in PATH there, and a TCP connection back"},
        Case{"The value of the MCA parameter \"plm_rsh_agent\" was set to a path\nthat could not be found:\n\n"
             "  plm_rsh_agent: ssh : rsh\n\nPlease either unset the parameter, or check that the path is correct\n",
             NoticeWeight::kCause,
             "mpirun starts ranks on other hosts through ssh, and ssh : rsh is not installed here"},
        Case{"There are not enough slots available in the system to satisfy the 9\n"
             "slots that were requested by the application:\n\n  hostname\n\n"
             "Either request fewer slots for your application, or make more slots\navailable for use.\n",
             NoticeWeight::kCause,
             "mpirun has fewer than 9 slots: start fewer workers, or give the hosts more slots in the hostfile"},
        Case{"The SLURM process starter for OpenMPI was unable to locate a\n"
             "usable \"srun\" command in its path. Please check your path\nand try again.\n",
             NoticeWeight::kCause, "mpirun is to use a Slurm allocation and finds no srun in PATH"},
        Case{"mpirun has detected an attempt to run as root.\n\nRunning as root is *strongly* discouraged\n",
             NoticeWeight::kCause,
             "mpirun refuses to run as root: set OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"},
        Case{"Open MPI tried to fork a new process via the \"execve\" system call but\n"
             "failed.  Open MPI checks many things before attempting to launch a\nchild process.\n\n"
             "  Local host:        a\n  Working dir:       /tmp\n  Application name:  /tmp\n"
             "  Error:             Permission denied\n",
             NoticeWeight::kCause, "/tmp cannot be executed on a: Permission denied"},
        Case{"mpirun was unable to launch the specified application as it could not\n"
             "change to the specified working directory:\n\nWorking directory: /gone\nNode: a\n\n"
             "while attempting to start process rank 0.\n",
             NoticeWeight::kCause, "the working folder /gone cannot be entered on a"},
        Case{"Open RTE detected a parse error in the hostfile:\n    /h\nIt occured on line number 3 on token 5.\n",
             NoticeWeight::kCause, "the hostfile /h is wrong: It occured on line number 3 on token 5."},
        Case{"A call to mkdir was unable to create the desired directory:\n\n  Directory: /full/ompi.a.0/pid.7\n"
             "  Error:     No space left on device\n\nPlease check to ensure you have adequate permissions to perform\n"
             "the desired operation.\n",
             NoticeWeight::kCause,
             "mpirun cannot make its folder /full/ompi.a.0/pid.7: No space left on device; set TMPDIR to another "
             "folder"},
        Case{"It appears as if there is not enough space for /tmp/x/shared_mem (the shared-memory backing\n"
             "file). It is likely that your MPI job will now either abort or experience performance degradation.\n\n"
             "  Local host:  a\n  Space Requested: 4194312 B\n  Space Available: 4096 B\n",
             NoticeWeight::kCause,
             "no space left for /tmp/x/shared_mem on a (4096 bytes are free): free some, or set TMPDIR to another "
             "folder"},
        Case{"mpirun noticed that process rank 0 with PID 77 on node a exited on signal 11 (Segmentation fault).\n",
             NoticeWeight::kCause, "rank 0 on a ended by signal 11 (Segmentation fault)"},
        Case{"mpirun detected that one or more processes exited with non-zero status, thus causing\n"
             "the job to be terminated. The first process to do so was:\n\n"
             "  Process name: [[20454,1],3]\n  Exit code:    2\n",
             NoticeWeight::kConsequence, "rank 3 ended with exit code 2"},
        // Open MPI 5.
        Case{"prterun detected that one or more processes exited with non-zero status,\n"
             "thus causing the job to be terminated. The first process to do so was:\n\n"
             "   Process name: [prterun-vm-30925@1,1]\n   Exit code:    3\n",
             NoticeWeight::kConsequence, "rank 1 ended with exit code 3"},
        Case{"prterun was unable to launch the specified application as it could not\naccess an executable:\n\n"
             "   Executable: /no/such/program\n   Node: node7\n\nwhile attempting to start process rank 0.\n",
             NoticeWeight::kCause, "/no/such/program is not on node7, or may not be executed there"},
        Case{"PRTE has lost communication with a remote daemon.\n\n  HNP daemon   : [prterun-eqn1-30724@0,0] on node "
             "eqn1\n"
             "  Remote daemon: [prterun-eqn1-30724@0,1] on node eqn2\n\nThis is usually due to either a failure\n",
             NoticeWeight::kCause,
             "lost contact with eqn2: the host, its network, or Open MPI's daemon there has failed"},
        Case{"A daemon failed to report back after being spawned. This could\nbe due to several factors, including "
             "inability to find the\ndaemon executable\n\n  Local host:    eqn1\n  Remote host:   eqn2\n"
             "  Daemon exit status: 255\n",
             NoticeWeight::kConsequence,
             "Open MPI's daemon on eqn2 could not be started: it needs ssh without a password, the same Open MPI in "
             "PATH there, and a TCP connection back"},
        Case{"An internal error has occurred in ORTE:\n\n[[1,0],0] FORCE-TERMINATE AT (null):1 - error x.c(352)\n\n"
             "This is something that should be reported to the developers.\n",
             NoticeWeight::kConsequence, "Open MPI failed inside: FORCE-TERMINATE AT (null):1 - error x.c(352)"}));

TEST(MpirunNotice, ABlockThatIsNotKnownIsItsFirstSentenceWithWhatIsLabelled) {
  EXPECT_EQ(notice("A process exceeded memory limits:\n\n  Process name: [[1,1],0]\n  Node:         a\n\nMore.\n").text,
            "A process exceeded memory limits (Process name: [[1,1],0], Node: a)");
  EXPECT_EQ(notice("\nNo network interfaces were found for out-of-band\ncommunications. We require\none.\n").text,
            "No network interfaces were found for out-of-band communications");
  EXPECT_EQ(notice("").text, "");
}

TEST(FirstRankEnd, IsTheOneThatOpenMpiNames) {
  const std::string frame(74, '-');
  const auto killed = first_rank_end(
      "noise\n" + frame +
      "\nmpirun noticed that process rank 12 with PID 4711 on node a.b exited on signal 9 (Killed).\n" + frame + "\n");
  ASSERT_TRUE(killed);
  EXPECT_EQ(killed->rank, 12);
  EXPECT_EQ(killed->host, "a.b");
  EXPECT_EQ(killed->signal, 9);
  EXPECT_FALSE(killed->exit_code);
  const auto failed = first_rank_end(
      frame +
      "\nmpirun detected that one or more processes exited with non-zero status, thus causing\nthe job to be "
      "terminated. The first process to do so was:\n\n  Process name: [[20454,1],3]\n  Exit code:    2\n" +
      frame + "\n");
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->rank, 3);
  EXPECT_EQ(failed->exit_code, 2);
  EXPECT_FALSE(failed->signal);
  const auto of_five = first_rank_end("   Process name: [prterun-vm-30925@1,7]\n   Exit code:    5\n");
  ASSERT_TRUE(of_five);
  EXPECT_EQ(of_five->rank, 7);
  EXPECT_EQ(of_five->exit_code, 5);
}

TEST(FirstRankEnd, OfAnyOtherTextIsNone) {
  for (const char* text : {"", "process rank ", "process rank x with PID 1 on node a exited on signal 9",
                           "process rank 99999999999 with PID 1 on node a exited on signal 9",
                           "Process name: [[1,1],0]", "Process name: [[1,1],0]\n  Node: a\n  Exit code: x"}) {
    EXPECT_FALSE(first_rank_end(text)) << text;
  }
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "process rank ";
  EXPECT_FALSE(first_rank_end(many + std::string(1 << 16, 'x')));
}

TEST(MpirunNotice, AWarningEndsNothing) {
  EXPECT_EQ(notice("WARNING: Linux kernel CMA support is\nnot available.\n\n  Local host: a\n").weight,
            NoticeWeight::kWarning);
}

TEST(MpirunNotice, ABlockWithoutEndIsBounded) {
  const std::string long_line(1 << 20, 'x');
  const std::vector<std::string_view> lines(100, long_line);
  EXPECT_LE(read_notice(lines).text.size(), 2100u);
}

TEST(MpirunNotice, ChatterIsWhatOpenMpiWritesOutsideOfBlocks) {
  for (const char* line :
       {"2 total processes failed to start", "[a:09062] PMIX ERROR: OUT-OF-RESOURCE in file x.c at line 208",
        "[a:09062] *** Process received signal ***", "[a:09062] Signal: Segmentation fault (11)",
        "[a:1] Set MCA parameter \"orte_base_help_aggregate\" to 0 to see all help / error messages",
        "mpirun: Forwarding signal 18 to job"}) {
    EXPECT_TRUE(is_mpirun_log_line(line)) << line;
  }
  for (const char* line : {"equipoise-worker: train.jsonl:3: field \"group\" is empty",
                           "ssh: Could not resolve hostname b: Name or service not known", "[3] is not a group"}) {
    EXPECT_FALSE(is_mpirun_log_line(line)) << line;
  }
}

}  // namespace mpirun_notice_test
}  // namespace equipoise
