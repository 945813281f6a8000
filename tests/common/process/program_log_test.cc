#include "common/process/program_log.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace program_log_test {

TEST(ProgramLog, MpirunsOwnNoticesAreNotTheReason) {
  const std::string frame(74, '-');
  const std::string text = "rank 1: train.jsonl:3: field \"group\" is empty\n" + frame +
                           "\nmpirun detected that one or more processes exited with non-zero status\n" + frame + "\n";
  EXPECT_EQ(last_informative_line(text), "rank 1: train.jsonl:3: field \"group\" is empty");
}

TEST(ProgramLog, ANoticeIsBetterThanNothing) {
  const std::string frame(74, '-');
  EXPECT_EQ(last_informative_line(frame + "\nNot enough slots\n" + frame + "\n\n"), "Not enough slots");
  EXPECT_EQ(last_informative_line(""), "");
}

TEST(ProgramLog, NewsAreNotTheReason) {
  const std::string frame(74, '-');
  const std::string news = "2026-01-31T12:00:00.000Z info equipoise-worker[7]: all is well\n";
  const std::string failure = "2026-01-31T12:00:00.000Z error equipoise-worker[7]: all is lost";
  EXPECT_EQ(last_informative_line(failure + "\n" + news), failure);
  EXPECT_EQ(last_informative_line(news + frame + "\nThe end came.\n" + frame + "\n" + news), "The end came");
}

// A run whose rank the system killed was said to have failed because some pairs had been left out.
TEST(ProgramLog, AWarningIsNotTheReasonWhereANoticeNamesACause) {
  const std::string frame(74, '-');
  const std::string warning = "2026-01-31T12:00:00.000Z warning equipoise-worker[7]: 3 pairs are left out";
  const std::string killed =
      frame + "\nmpirun noticed that process rank 1 with PID 0 on node a exited on signal 9 (Killed).\n" + frame + "\n";
  EXPECT_EQ(last_informative_line(warning + "\n" + killed),
            "rank 1 on a was killed (signal 9): by the system if memory ran out, or by somebody");
  const std::string ended =
      frame + "\nPrimary job  terminated normally, but 1 process returned\na non-zero exit code.\n" + frame + "\n";
  EXPECT_EQ(last_informative_line(warning + "\n" + ended), warning);
  EXPECT_EQ(last_informative_line(ended), "a rank ended with a non-zero exit code");
}

TEST(ProgramLog, WhatOpenMpiWritesOutsideOfItsNoticesIsNotTheReason) {
  const std::string frame(74, '-');
  const std::string text = frame +
                           "\nmpirun was unable to launch the specified application as it could not access\n"
                           "or execute an executable:\n\nExecutable: /opt/worker\nNode: b\n\n"
                           "while attempting to start process rank 0.\n" +
                           frame + "\n2 total processes failed to start\n[b:12] 1 more process has sent help message\n";
  EXPECT_EQ(last_informative_line(text), "/opt/worker is not on b, or may not be executed there");
  EXPECT_EQ(last_informative_line("[b:12] PMIX ERROR: ERROR in file x.c at line 5\n"),
            "[b:12] PMIX ERROR: ERROR in file x.c at line 5");
}

TEST(ProgramLog, AFullTmpdirIsTheReasonWhereNothingBetterIsSaid) {
  const std::string frame = std::string(74, '-') + "\n";
  const std::string full =
      "[a:9] PMIX ERROR: OUT-OF-RESOURCE in file dstore_segment.c at line 208\n"
      "[a:9] PMIX ERROR: ERROR in file dstore_base.c at line 2479\n";
  const std::string ended =
      frame + "Primary job  terminated normally, but 1 process returned\na non-zero exit code.\n" + frame;
  EXPECT_EQ(last_informative_line(full + ended),
            "mpirun found no room for its files: free some in TMPDIR, or set it to another folder");
  EXPECT_EQ(last_informative_line(full + "equipoise-worker: no model\n" + ended), "equipoise-worker: no model");
}

TEST(ProgramLog, TheFirstNoticeThatNamesACauseCounts) {
  const std::string frame = std::string(74, '-') + "\n";
  const std::string text = frame + "Open RTE was unable to open the hostfile:\n    /etc/hosts.mpi\nCheck it.\n" +
                           frame + frame +
                           "An internal error has occurred in ORTE:\n\n[[1,0],0] FORCE-TERMINATE\n\n"
                           "This is something that should be reported to the developers.\n" +
                           frame;
  EXPECT_EQ(last_informative_line(text), "the hostfile /etc/hosts.mpi cannot be opened");
}

TEST(ProgramLog, WhateverWasWrittenIsOneShortPrintableLine) {
  EXPECT_EQ(last_informative_line("abc\xff\x1b[0m"), "abc??[0m");
  EXPECT_EQ(last_informative_line(std::string(100000, 'x')).size(), 512u);
}

TEST(ProgramLog, TheFirstComplaintIsTheCauseOfTheOthers) {
  const TempFolder temp;
  const auto file = temp.write("stderr.log",
                               "2026-01-01T00:00:00.000Z info equipoise-worker[7]: reading\n"
                               "equipoise-worker: train.jsonl:3: field \"group\" is empty\n"
                               "equipoise-worker: rank 1 waited 600 s for the other ranks in broadcast\n");
  EXPECT_EQ(first_error_of(file, "equipoise-worker"), "train.jsonl:3: field \"group\" is empty");
  EXPECT_EQ(first_error_of(file, "equipoise"), "");
  EXPECT_EQ(first_error_of(temp / "none", "equipoise-worker"), "");
}

// ssh says why a host could not be reached; Open MPI's notice behind it only lists what might have been the cause.
TEST(ProgramLog, SshsLineIsWhatTells) {
  const std::string frame(74, '-');
  const std::string notice =
      frame + "\nORTE was unable to reliably start one or more daemons.\nThis usually is caused by:\n" + frame + "\n";
  for (const char* line : {"ssh: connect to host node2 port 22: No route to host",
                           "ssh: Could not resolve hostname node9: Name or service not known",
                           "root@node2: Permission denied (publickey,password)."}) {
    EXPECT_EQ(last_informative_line(line + std::string("\n") + notice), line);
  }
  EXPECT_EQ(last_informative_line("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n"
                                  "Host key for node2 has changed and you have requested strict checking.\n"
                                  "Host key verification failed.\n" +
                                  notice),
            "ssh: the host key of node2 is another than in known_hosts; if that is right, replace it there");
  EXPECT_EQ(last_informative_line("No ED25519 host key is known for node2 and you have requested strict checking.\r\n"
                                  "Host key verification failed.\r\n" +
                                  notice),
            "ssh: the host key of node2 is not in known_hosts; log in there once");
  EXPECT_EQ(last_informative_line("bash: line 1: orted: command not found\n" + notice),
            "Open MPI's orted is not in PATH on a host: install the same Open MPI there");
}

}  // namespace program_log_test
}  // namespace equipoise
