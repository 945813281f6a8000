#include "common/config/path_roots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace path_roots_test {

using ::testing::HasSubstr;
using ::testing::StartsWith;
namespace fs = std::filesystem;

class PathRootsTest : public ::testing::Test {
 protected:
  PathRootsTest() {
    folder_.write("root/train.jsonl", "{}");
    folder_.write("root/model/config.json", "{}");
    folder_.write("outside/secret.jsonl", "{}");
    job_.output = folder_ / "root/out";
    job_.model.path = folder_ / "root/model";
    job_.data.train = folder_ / "root/train.jsonl";
  }
  std::string refusal() const {
    const PathRoots roots({folder_ / "root"});
    return refusal_of([&] { roots.check(job_); });
  }
  TempFolder folder_;
  JobConfig job_;
};

TEST_F(PathRootsTest, AJobInsideIsTakenAndEveryFieldOutsideIsNamed) {
  EXPECT_EQ(refusal(), "accepted");
  const fs::path outside = folder_ / "outside/secret.jsonl";
  const JobConfig good = job_;
  const auto check = [&](const std::string& field) {
    EXPECT_THAT(refusal(), StartsWith(field + " is \"")) << field;
    job_ = good;
  };
  job_.output = folder_ / "outside";
  check("output");
  job_.model.path = outside;
  check("model.path");
  job_.model.reference = outside;
  check("model.reference");
  job_.model.adapter = outside;
  check("model.adapter");
  job_.model.chat_template = outside;
  check("model.chat_template");
  job_.data.train = outside;
  check("data.train");
  job_.data.train_files = {{.path = outside}};
  job_.data.train.clear();
  check("data.train");
  job_.data.validation = outside;
  check("data.validation");
  job_.data.test = outside;
  check("data.test");
  job_.training.resume_from_checkpoint = outside;
  check("training.resume_from_checkpoint");
  job_.training.resume_from_checkpoint = kLatestCheckpoint;
  EXPECT_EQ(refusal(), "accepted");
}

TEST_F(PathRootsTest, NoWayAroundLeadsOut) {
  const std::string root = (folder_ / "root").string();
  fs::create_symlink(folder_ / "outside", folder_ / "root/link");
  fs::create_symlink("../outside/secret.jsonl", folder_ / "root/file");
  for (const std::string& path :
       {root + "/../outside/secret.jsonl", root + "/none/../../outside/secret.jsonl", root + "/link/secret.jsonl",
        root + "/file", root + "-beside/train.jsonl", std::string("/etc/passwd"), std::string("/dev/zero"),
        std::string("/proc/self/environ")}) {
    job_.data.train = path;
    EXPECT_THAT(refusal(), HasSubstr("outside of the folders")) << path;
  }
  job_.data.train = folder_ / "root/./model/../train.jsonl";
  EXPECT_EQ(refusal(), "accepted");
}

TEST_F(PathRootsTest, ALinkInsideOfAModelOrAnOutputDoesNotLeadOutEither) {
  fs::create_symlink("config.json", folder_ / "root/model/other.json");
  EXPECT_EQ(refusal(), "accepted");
  fs::create_symlink(folder_ / "outside/secret.jsonl", folder_ / "root/model/tokenizer.json");
  EXPECT_THAT(refusal(), HasSubstr("model.path has the link"));
  fs::remove(folder_ / "root/model/tokenizer.json");
  fs::create_directory(folder_ / "root/out");
  fs::create_directory_symlink(folder_ / "outside", folder_ / "root/out/checkpoints");
  EXPECT_THAT(refusal(), HasSubstr("output has the link"));
}

TEST_F(PathRootsTest, ARootMayBeALinkAndSeveralMayStandSideBySide) {
  fs::create_directory_symlink(folder_ / "root", folder_ / "name");
  const PathRoots roots({folder_ / "name", folder_ / "outside"});
  job_.data.validation = folder_ / "outside/secret.jsonl";
  EXPECT_EQ(refusal_of([&] { roots.check(job_); }), "accepted");
  EXPECT_EQ(refusal_of([&] { PathRoots::from_text(roots.text()).check(job_); }), "accepted");
  job_.data.validation = "/etc/passwd";
  EXPECT_NE(refusal_of([&] { PathRoots::from_text(roots.text()).check(job_); }), "accepted");
}

TEST_F(PathRootsTest, WithoutRootsEveryPathWillDo) {
  job_.data.train = "/etc/passwd";
  EXPECT_NO_THROW(PathRoots().check(job_));
  EXPECT_EQ(PathRoots().text(), "");
  EXPECT_NO_THROW(PathRoots::from_text("").check(job_));
}

}  // namespace path_roots_test
}  // namespace equipoise
