#include "common/process/program_log.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace {

TEST(ProgramLog, MpirunsOwnNoticesAreNotTheReason) {
  const std::string frame(74, '-');
  const std::string text = "rank 1: train.jsonl:3: field \"group\" is empty\n" + frame +
                           "\nmpirun detected that one or more processes exited with non-zero status\n" + frame + "\n";
  EXPECT_EQ(last_telling_line(text), "rank 1: train.jsonl:3: field \"group\" is empty");
}

TEST(ProgramLog, ANoticeIsBetterThanNothing) {
  const std::string frame(74, '-');
  EXPECT_EQ(last_telling_line(frame + "\nNot enough slots\n" + frame + "\n\n"), "Not enough slots");
  EXPECT_EQ(last_telling_line(""), "");
}

TEST(ProgramLog, NewsAreNotTheReason) {
  const std::string frame(74, '-');
  const std::string news = "2026-01-31T12:00:00.000Z info equipoise-worker[7]: all is well\n";
  const std::string notice = frame + "\nrank 1 exited on signal 9 (Killed).\n" + frame + "\n";
  EXPECT_EQ(last_telling_line(news + notice + news), "rank 1 exited on signal 9 (Killed).");
  const std::string warning = "2026-01-31T12:00:00.000Z warning equipoise-worker[7]: all is lost";
  EXPECT_EQ(last_telling_line(warning + "\n" + news + notice), warning);
}

TEST(ProgramLog, WhateverWasWrittenIsOneShortPrintableLine) {
  EXPECT_EQ(last_telling_line("abc\xff\x1b[0m"), "abc??[0m");
  EXPECT_EQ(last_telling_line(std::string(100000, 'x')).size(), 512u);
}

TEST(ProgramLog, TheFirstComplaintIsTheCauseOfTheOthers) {
  const TempFolder temp;
  const auto file = temp.write("stderr.log",
                               "2026-01-01T00:00:00.000Z info equipoise-worker[7]: reading\n"
                               "equipoise-worker: train.jsonl:3: field \"group\" is empty\n"
                               "equipoise-worker: rank 1 waited 600 s for the other ranks in broadcast\n");
  EXPECT_EQ(first_complaint_of(file, "equipoise-worker"), "train.jsonl:3: field \"group\" is empty");
  EXPECT_EQ(first_complaint_of(file, "equipoise"), "");
  EXPECT_EQ(first_complaint_of(temp / "none", "equipoise-worker"), "");
}

}  // namespace
}  // namespace equipoise
