#include "common/process/mpirun_notice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace equipoise {
namespace {

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
    EXPECT_TRUE(is_mpirun_chatter(line)) << line;
  }
  for (const char* line : {"equipoise-worker: train.jsonl:3: field \"group\" is empty",
                           "ssh: Could not resolve hostname b: Name or service not known", "[3] is not a group"}) {
    EXPECT_FALSE(is_mpirun_chatter(line)) << line;
  }
}

}  // namespace
}  // namespace equipoise
