#include "common/huggingface/compressed_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace compressed_file_test {

using testing::HasSubstr;

const std::string kGzip = "golden/compressed/pairs.jsonl.gz", kZstd = "golden/compressed/pairs.jsonl.zst";

std::string unpacked(const std::filesystem::path& path, const std::string& format) {
  CompressedFile file = CompressedFile::open(path, format);
  std::string text;
  std::array<char, 4096> bytes{};
  while (const std::size_t count = file.read(bytes)) text.append(bytes.data(), count);
  return text;
}

std::string refusal(const std::filesystem::path& path, const std::string& format) {
  return refusal_of([&] { unpacked(path, format); });
}

TEST(CompressedFile, GivesWhatWasCompressed) {
  const std::string text = read_file("golden/compressed/pairs.jsonl");
  EXPECT_EQ(unpacked(kGzip, "gzip"), text);
  EXPECT_EQ(unpacked(kZstd, "zstd"), text);
}

// As `cat a.gz b.gz` makes them.
TEST(CompressedFile, GivesAllPartsOfAFileOfSeveral) {
  const TempFolder folder;
  const std::string text = read_file("golden/compressed/pairs.jsonl");
  EXPECT_EQ(unpacked(folder.write("a", read_file(kGzip) + read_file(kGzip)), "gzip"), text + text);
  EXPECT_EQ(unpacked(folder.write("b", read_file(kZstd) + read_file(kZstd)), "zstd"), text + text);
}

// As tape and block tools leave them; Python's gzip reads on behind them.
TEST(CompressedFile, PassesOverZerosBehindItsParts) {
  const TempFolder folder;
  const std::string text = read_file("golden/compressed/pairs.jsonl");
  for (const auto& [path, format] : {std::pair(kGzip, "gzip"), std::pair(kZstd, "zstd")}) {
    const std::string part = read_file(path);
    for (const std::size_t count : {1U, 512U, 100000U}) {
      const std::string zeros(count, '\0');
      EXPECT_EQ(unpacked(folder.write("a", part + zeros), format), text);
      EXPECT_EQ(unpacked(folder.write("b", part + zeros + part), format), text + text);
    }
  }
}

TEST(CompressedFile, RefusesOtherBytesBehindItsParts) {
  const TempFolder folder;
  for (const auto& [path, format] : {std::pair(kGzip, "gzip"), std::pair(kZstd, "zstd")}) {
    const std::string part = read_file(path), end = std::to_string(part.size());
    for (const std::string& more : {std::string("x"), std::string("trailing"), std::string(9, '\0') + "{}"}) {
      EXPECT_EQ(refusal_in(folder.path(), [&] { unpacked(folder.write("a", part + more), format); }),
                "a: holds " + std::to_string(more.size()) + " bytes behind what is compressed with " + format +
                    " that are not " + format + " themselves, expected none, or zeros: head -c " + end +
                    " FILE > NEW cuts them off");
    }
  }
}

// pzstd puts one before each frame.
TEST(CompressedFile, PassesOverFramesThatUnpackToNothing) {
  const TempFolder folder;
  const std::string skipped("\x50\x2A\x4D\x18\x04\0\0\0abcd", 12), part = read_file(kZstd);
  const std::string text = read_file("golden/compressed/pairs.jsonl");
  EXPECT_EQ(unpacked(folder.write("a", skipped + part + skipped + part + skipped), "zstd"), text + text);
}

TEST(CompressedFile, IsRefusedWhereItIsCutShort) {
  const TempFolder folder;
  for (const auto& [path, format] : {std::pair(kGzip, "gzip"), std::pair(kZstd, "zstd")}) {
    const std::string whole = read_file(path);
    for (std::size_t size = 8; size < whole.size(); ++size) {
      EXPECT_THAT(refusal(folder.write("cut", whole.substr(0, size)), format), HasSubstr("cut: is compressed with"));
    }
  }
}

TEST(CompressedFile, SurvivesAnyChange) {
  const TempFolder folder;
  std::mt19937 random(1);
  for (const auto& [path, format] : {std::pair(kGzip, "gzip"), std::pair(kZstd, "zstd")}) {
    for (int i = 0; i < 300; ++i) {
      std::string broken = read_file(path);
      broken[random() % broken.size()] = static_cast<char>(random() % 256);
      const std::string message = refusal(folder.write("broken", broken), format);
      EXPECT_EQ(message.find('\n'), std::string::npos);
    }
  }
}

// One frame of blocks that say: 128 KiB of one byte.
std::string bomb(std::size_t blocks) {
  std::string frame("\x28\xB5\x2F\xFD\x00\x58", 6);
  const std::uint32_t header = (128U << 10 << 3) | (1U << 1);
  for (std::size_t i = 0; i < blocks; ++i) {
    for (const int shift : {0, 8, 16}) frame += static_cast<char>(header >> shift & 0xFF);
    frame += ' ';
  }
  return frame;
}

TEST(CompressedFile, UnpacksToABoundedSize) {
  const TempFolder folder;
  EXPECT_THAT(refusal(folder.write("bomb", bomb(8192)), "zstd"), HasSubstr("bomb: unpacks to more than 64 MiB"));
  EXPECT_THAT(refusal(folder.write("small", bomb(8)), "zstd"), HasSubstr("cut short"));  // the last block is missing
}

// A window of 2 GiB, which would have to be in memory.
TEST(CompressedFile, TakesABoundedWindow) {
  const TempFolder folder;
  EXPECT_THAT(refusal(folder.write("window", std::string("\x28\xB5\x2F\xFD\x00\xA8\x0B\x00\x00 ", 10)), "zstd"),
              HasSubstr("window: is compressed with zstd and damaged"));
}

TEST(CompressedFile, IsNoFolderAndNoPipe) {
  const TempFolder folder;
  EXPECT_THAT(refusal(folder.path(), "gzip"), HasSubstr("is not a file"));
  EXPECT_THAT(refusal(folder / "absent", "zstd"), HasSubstr("absent: "));
}

}  // namespace compressed_file_test
}  // namespace equipoise
