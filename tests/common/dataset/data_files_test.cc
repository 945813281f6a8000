#include "common/dataset/data_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <stdexcept>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace data_files_test {

using testing::ElementsAre;
using testing::HasSubstr;

class DataFiles : public testing::Test {
 protected:
  void make(const std::string& name, const std::string& content = "x") {
    std::filesystem::create_directories((folder_ / name).parent_path());
    folder_.write(name, content);
  }
  // Relative to the folder.
  std::vector<std::string> files(const std::string& path) {
    std::vector<std::string> names;
    for (const auto& file : data_files(folder_ / path)) names.push_back(file.lexically_relative(folder_.path()));
    return names;
  }
  std::string refusal(const std::string& path) {
    return refusal_of([&] { data_files(folder_ / path); });
  }

  TempFolder folder_;
};

TEST_F(DataFiles, AFileIsItself) {
  make("pairs.jsonl");
  EXPECT_THAT(files("pairs.jsonl"), ElementsAre("pairs.jsonl"));
  EXPECT_THAT(refusal("absent.jsonl"), HasSubstr("absent.jsonl: there is no such file"));
  EXPECT_THAT(refusal("absent/train"), HasSubstr("there is no such file"));
}

TEST_F(DataFiles, AFolderIsItsShardsInTheOrderOfTheirNames) {
  make("a/2.parquet");
  make("a/10.parquet");
  make("a/.hidden.parquet");
  make("a/README.md");
  EXPECT_THAT(files("a"), ElementsAre("a/10.parquet", "a/2.parquet"));
  make("a/3.jsonl");
  EXPECT_THAT(refusal("a"), HasSubstr("holds \"10.parquet\" and \"3.jsonl\", expected files of one kind"));
  make("empty/README.md");
  EXPECT_THAT(refusal("empty"), HasSubstr("holds no data"));
}

TEST_F(DataFiles, CompressedLinesAreOfAKindOfTheirOwn) {
  make("a/train.jsonl.gz");
  make("a/test.jsonl.gz");
  EXPECT_THAT(files("a/train"), ElementsAre("a/train.jsonl.gz"));
  EXPECT_THAT(refusal("a"), HasSubstr("holds several splits"));
  make("b/1.jsonl.zst");
  make("b/2.jsonl.zst");
  EXPECT_THAT(files("b"), ElementsAre("b/1.jsonl.zst", "b/2.jsonl.zst"));
  make("b/3.jsonl");
  EXPECT_THAT(refusal("b"), HasSubstr("expected files of one kind"));
  make("c/train-00000-of-00002.jsonl.gz");
  EXPECT_THAT(refusal("c"), HasSubstr("holds 1 of the 2 files"));
}

TEST_F(DataFiles, SplitsAreNeverMixedButMayBeNamed) {
  make("hub/data/train-00001-of-00002.parquet");
  make("hub/data/train-00000-of-00002.parquet");
  make("hub/data/test-00000-of-00001.parquet");
  EXPECT_THAT(refusal("hub"), HasSubstr("holds several splits, expected one of them: " +
                                        (folder_ / "hub/test").string() + ", " + (folder_ / "hub/train").string()));
  EXPECT_THAT(files("hub/train"),
              ElementsAre("hub/data/train-00000-of-00002.parquet", "hub/data/train-00001-of-00002.parquet"));
  EXPECT_THAT(files("hub/data/test"), ElementsAre("hub/data/test-00000-of-00001.parquet"));
  make("ours/train.jsonl");
  make("ours/validation.jsonl");
  EXPECT_THAT(refusal("ours"), HasSubstr("holds several splits"));
  EXPECT_THAT(files("ours/train"), ElementsAre("ours/train.jsonl"));
}

TEST_F(DataFiles, AMissingShardIsNoticed) {
  make("a/train-00000-of-00003.parquet");
  make("a/train-00002-of-00003.parquet");
  EXPECT_THAT(refusal("a"), HasSubstr("holds 2 of the 3 files that \"train-00000-of-00003.parquet\" speaks of"));
}

TEST_F(DataFiles, ASavedDataSetIsTheFilesThatItsStateNames) {
  make("saved/state.json", R"({"_data_files": [{"filename": "b.arrow"}, {"filename": "a.arrow"}], "_split": null})");
  make("saved/c.arrow");
  EXPECT_THAT(files("saved"), ElementsAre("saved/b.arrow", "saved/a.arrow"));
}

TEST_F(DataFiles, AStateMayNotPointElsewhere) {
  for (const std::string name : {"../secret", "/etc/passwd", "", "..", "a/b.arrow"}) {
    make("saved/state.json", R"({"_data_files": [{"filename": ")" + name + "\"}]}");
    EXPECT_THAT(refusal("saved"), HasSubstr("expected the name of a file in its folder")) << name;
  }
  make("saved/state.json", R"({"_data_files": [{"name": "a"}]})");
  EXPECT_THAT(refusal("saved"), HasSubstr("names no file"));
  make("saved/state.json", R"({"_data_files": []})");
  EXPECT_THAT(refusal("saved"), HasSubstr("missing or empty"));
  make("saved/state.json", R"({"_data_files": [{"filename": "a"}], "_indices_files": [{"filename": "b"}]})");
  EXPECT_THAT(refusal("saved"), HasSubstr("_indices_files"));
  make("saved/state.json", "{");
  EXPECT_THAT(refusal("saved"), HasSubstr("state.json: is not JSON"));
}

TEST_F(DataFiles, AFolderOfSavedSplitsNamesThem) {
  make("dict/dataset_dict.json", R"({"splits": ["train", "test"]})");
  make("dict/train/state.json");
  make("dict/test/state.json");
  EXPECT_THAT(refusal("dict"), HasSubstr("expected one of them: " + (folder_ / "dict/test").string()));
}

TEST_F(DataFiles, TheFirstBytesTellTheFormat) {
  make("a", "PAR1...");
  make("b", "\xFF\xFF\xFF\xFF...");
  make("c", "{}");
  make("d", "");
  EXPECT_EQ(data_format(folder_ / "a"), DataFormat::kTable);
  EXPECT_EQ(data_format(folder_ / "b"), DataFormat::kTable);
  EXPECT_EQ(data_format(folder_ / "c"), DataFormat::kJsonLines);
  EXPECT_EQ(data_format(folder_ / "d"), DataFormat::kJsonLines);
  make("e.parquet", "{}");
  EXPECT_THROW(data_format(folder_ / "e.parquet"), std::invalid_argument);
  make("e.arrow", "ARROW1");
  EXPECT_THROW(data_format(folder_ / "e.arrow"), std::invalid_argument);
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THROW(data_format(folder_ / "pipe"), std::invalid_argument);  // and does not wait for it
}

// "does not begin as a Parquet file" was said of all of these.
TEST_F(DataFiles, WhatADownloadLeftInPlaceOfAFileIsNamed) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n";
  const auto format_refusal = [&](const std::string& name, const std::string& content) {
    make(name, content);
    return refusal_in(folder_.path(), [&] { data_format(folder_ / name); });
  };
  EXPECT_THAT(format_refusal("a.parquet", pointer), HasSubstr("a.parquet: is a Git-LFS pointer"));
  EXPECT_THAT(format_refusal("a.arrow", "<!DOCTYPE html>"), HasSubstr("a.arrow: is a web page"));
  EXPECT_THAT(format_refusal("b.parquet", ""), HasSubstr("b.parquet: is empty"));
  make("saved/state.json", pointer);
  make("saved/a.arrow");
  EXPECT_THAT(refusal("saved"), HasSubstr("state.json: is a Git-LFS pointer"));
}

TEST_F(DataFiles, ALinkToNothingIsNamed) {
  make("folder/a.arrow");
  for (const std::string name : {"pairs.jsonl", "folder/state.json"}) {
    std::filesystem::create_symlink("../blobs/4d7a", folder_ / name);
  }
  const std::string said = "is a link to ../blobs/4d7a, which is not there";
  EXPECT_THAT(refusal("pairs.jsonl"), HasSubstr(said));
  EXPECT_THAT(refusal("folder"), HasSubstr("state.json: " + said));
  EXPECT_THAT(refusal_of([&] { data_format(folder_ / "pairs.jsonl"); }), HasSubstr(said));
}

}  // namespace data_files_test
}  // namespace equipoise
