#include "common/dataset/text_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

#include "common/dataset/preference_pair.h"
#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace text_file_test {

using testing::HasSubstr;

class Text : public testing::Test {
 protected:
  std::string refusal(const std::string& content) {
    const auto file = folder_.write("pairs.jsonl", content);
    return refusal_in(folder_.path(), [&] { TextFile text(file); });
  }

  TempFolder folder_;
};

// By what is in the file, whatever its name says.
TEST_F(Text, PairsOfACompressedFileAreThoseOfTheFile) {
  const PreferenceData plain = read_preference_file("golden/compressed/pairs.jsonl", Rejected::kRequired);
  ASSERT_EQ(plain.pairs.size(), 3U);
  for (const std::string path : {"golden/compressed/pairs.jsonl.gz", "golden/compressed/pairs.jsonl.zst"}) {
    for (const auto& file : {std::filesystem::path(path), folder_.write("pairs.jsonl", read_file(path))}) {
      const PreferenceData data = read_preference_file(file, Rejected::kRequired);
      ASSERT_EQ(data.pairs.size(), 3U);
      EXPECT_EQ(data.pairs[2].prompt, plain.pairs[2].prompt);
      EXPECT_EQ(data.group_names, plain.group_names);
    }
  }
}

TEST_F(Text, SaysWhatAFileIsThatIsNoText) {
  using namespace std::string_literals;
  EXPECT_THAT(refusal("\xFF\xFE{\0"s), HasSubstr("pairs.jsonl: is UTF-16, expected UTF-8: iconv -f utf-16"));
  EXPECT_THAT(refusal("\xFE\xFF\0{"s), HasSubstr("is UTF-16"));
  EXPECT_THAT(refusal("{\0\"\0"s), HasSubstr("is UTF-16"));  // without a byte order mark
  EXPECT_THAT(refusal("\0{\0\""s), HasSubstr("is UTF-16"));
  EXPECT_THAT(refusal("\xFF\xFE\0\0{\0\0\0"s), HasSubstr("is UTF-32"));
  EXPECT_THAT(refusal("BZh91AY"), HasSubstr("is compressed with bzip2"));
  EXPECT_THAT(refusal("\xFD"
                      "7zXZ\0\0"s),
              HasSubstr("is compressed with xz"));
  EXPECT_THAT(refusal("PK\x03\x04\x14"), HasSubstr("is a zip archive"));
  EXPECT_THAT(refusal("ARROW1\0\0"s), HasSubstr("is an Arrow file (Feather)"));
  EXPECT_THAT(refusal("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("is a Git-LFS pointer"));
  EXPECT_THAT(refusal("<!DOCTYPE html>\n<html>"), HasSubstr("is a web page, not the file itself"));
  EXPECT_EQ(refusal(""), "accepted");
  EXPECT_EQ(refusal("{"), "accepted");
  EXPECT_EQ(refusal("\xEF\xBB\xBF{}"), "accepted");
}

TEST_F(Text, SaysTheSameOfWhatIsCompressed) {
  EXPECT_THAT(refusal(std::string("\x1F\x8B\x08\x00", 4)), HasSubstr("is compressed with gzip and cut short"));
  EXPECT_THAT(refusal("\x28\xB5\x2F\xFD"), HasSubstr("is compressed with zstd and cut short"));
}

TEST_F(Text, IsUnpackedOnce) {
  using namespace std::string_literals;
  // gzip -n and zstd of the two files.
  const auto packed = [&](const std::string& command) {
    const std::string file = (folder_ / "packed").string();
    EXPECT_EQ(std::system((command + " > " + file).c_str()), 0);
    return read_file(file);
  };
  EXPECT_EQ(
      refusal(packed("gzip -c golden/compressed/pairs.jsonl.gz")),
      "pairs.jsonl: is compressed with gzip, and what is in it with gzip again, expected once: gzip -dc FILE > NEW "
      "takes one of them off");
  EXPECT_THAT(refusal(packed("gzip -c golden/compressed/pairs.jsonl.zst")), HasSubstr("and what is in it with zstd,"));
  EXPECT_THAT(refusal(packed("printf PAR1 | gzip")), HasSubstr("is compressed with gzip and Parquet when unpacked"));
  EXPECT_THAT(refusal(packed("tar -cf - golden/compressed/pairs.jsonl | gzip")),
              HasSubstr("is compressed with gzip; unpacked, it is a tar archive"));
  EXPECT_THAT(refusal("\x50\x2A\x4D\x18\x04\0\0\0abcd"s + read_file("golden/compressed/pairs.jsonl.zst")),
              testing::Eq("accepted"));
}

}  // namespace text_file_test
}  // namespace equipoise
