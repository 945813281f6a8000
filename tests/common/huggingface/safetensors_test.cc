#include "common/huggingface/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <bit>
#include <cstring>
#include <stdexcept>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace safetensors_test {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

std::string file_with(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + data;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape, int begin, int end) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

std::span<const std::byte> bytes_of(std::span<const float> values) { return std::as_bytes(values); }

void expect_refused(const std::string& content, const std::string& why) {
  const TempFolder folder;
  const auto path = folder.write("model.safetensors", content);
  EXPECT_THAT([&] { SafetensorsFile::open(path); },
              ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr(path.string()), HasSubstr(why))));
}

const std::string kEightBytes(8, '\1');

TEST(Safetensors, ReadsWhatTheHeaderSays) {
  const TempFolder folder;
  const auto path = folder.write(
      "x",
      file_with("{" + entry("b", "F32", "[1,2]", 0, 8) + "," + entry("a", "U8", "[]", 8, 9) + "}", kEightBytes + "\2"));
  const SafetensorsFile file = SafetensorsFile::open(path);
  ASSERT_EQ(file.tensors().size(), 2U);
  EXPECT_EQ(file.tensors()[0].name, "a");
  EXPECT_EQ(file.tensors()[0].bytes[0], std::byte{2});
  EXPECT_EQ(file.tensors()[1].dtype, "F32");
  EXPECT_THAT(file.tensors()[1].shape, ElementsAre(1, 2));
  EXPECT_EQ(file.find("b"), &file.tensors()[1]);
  EXPECT_EQ(file.find("c"), nullptr);
  EXPECT_EQ(file.path(), path);
}

TEST(Safetensors, RewritesAFileOfTheLibraryByteForByte) {
  const TempFolder folder;
  const SafetensorsFile golden = SafetensorsFile::open("golden/safetensors/adapter_model.safetensors");
  ASSERT_FALSE(golden.tensors().empty());
  write_safetensors(folder / "copy", golden.tensors(), {{"format", "pt"}});
  EXPECT_EQ(read_file(folder / "copy"), read_file(golden.path()));
}

TEST(Safetensors, GivesBackWhatWasWritten) {
  const TempFolder folder;
  const std::vector<float> values = {1.5F, -2.F, 3.F};
  const std::vector<std::int64_t> counts = {7};
  const std::vector<TensorView> tensors = {
      {.name = "w \"quoted\" é", .dtype = "F32", .shape = {3, 1}, .bytes = bytes_of(values)},
      {.name = "step", .dtype = "I64", .shape = {}, .bytes = std::as_bytes(std::span(counts))},
      {.name = "none", .dtype = "BF16", .shape = {0, 4}, .bytes = {}}};
  write_safetensors(folder / "x", tensors, {});
  const SafetensorsFile file = SafetensorsFile::open(folder / "x");
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (const TensorView& written : tensors) {
    const TensorView* read = file.find(written.name);
    ASSERT_NE(read, nullptr) << written.name;
    EXPECT_EQ(read->dtype, written.dtype);
    EXPECT_EQ(read->shape, written.shape);
    EXPECT_TRUE(std::ranges::equal(read->bytes, written.bytes));
  }
}

TEST(Safetensors, WritesTheSameBytesWhateverTheOrder) {
  const TempFolder folder;
  const std::vector<float> values = {1.F, 2.F};
  std::vector<TensorView> tensors;
  for (const char* name : {"c", "a", "b"}) {
    tensors.push_back({.name = name, .dtype = "F32", .shape = {2}, .bytes = bytes_of(values)});
  }
  const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"a", "1"}, {"b", "2"}, {"c", "3"}};
  write_safetensors(folder / "x", tensors, metadata);
  std::ranges::reverse(tensors);
  write_safetensors(folder / "y", tensors, metadata);
  EXPECT_EQ(read_file(folder / "x"), read_file(folder / "y"));
}

TEST(Safetensors, RefusesHeadersOfImpossibleLength) {
  expect_refused("", "empty");
  expect_refused("abc", "3 bytes");
  expect_refused(std::string(8, '\xff') + "{}", "18446744073709551615");
  expect_refused(std::string("\x00\x00\x00\x00\x00\x01\x00\x00{}", 10), "header");
  expect_refused(file_with("{}", "").substr(0, 9), "only 9 bytes");
}

TEST(Safetensors, RefusesHeadersThatAreNotTheFormats) {
  expect_refused(file_with("[1]", ""), "header");
  expect_refused(file_with("{\"a\":", ""), "header");
  expect_refused(file_with("{\"\xff\":1}", ""), "header");
  expect_refused(file_with("{" + entry("a", "F33", "[2]", 0, 8) + "}", kEightBytes), "F33");
  expect_refused(file_with("{" + entry("a", "F32", "[-2]", 0, 8) + "}", kEightBytes), "");
  expect_refused(file_with(std::string(100000, '['), ""), "header");
}

TEST(Safetensors, RefusesOffsetsThatOverlapLeaveHolesOrPassTheEnd) {
  const std::string first = "{" + entry("a", "F32", "[1]", 0, 4) + ",";
  expect_refused(file_with(first + entry("b", "F32", "[1]", 2, 6) + "}", "123456"), "b");
  expect_refused(file_with(first + entry("b", "F32", "[1]", 5, 9) + "}", "123456789"), "b");
  expect_refused(file_with(first + entry("b", "F32", "[1]", 4, 8) + "}", "1234567"), "");
  expect_refused(file_with(first + entry("b", "F32", "[1]", 4, 8) + "}", "123456789"), "");
}

TEST(Safetensors, RefusesASizeThatIsNotShapeTimesType) {
  expect_refused(file_with("{" + entry("a", "F64", "[2]", 0, 8) + "}", kEightBytes), "");
  expect_refused(file_with("{" + entry("a", "F32", "[4294967296,4294967296,4294967296]", 0, 8) + "}", kEightBytes), "");
}

// The library keeps the last of two entries with one name; where both have the same place, nothing else is amiss.
TEST(Safetensors, RefusesATensorThatOccursTwice) {
  const std::string a = entry("weight", "F32", "[2]", 0, 8);
  expect_refused(file_with("{" + a + "," + a + "}", kEightBytes), "weight occurs twice");
}

TEST(Safetensors, RefusesPicklesByName) {
  expect_refused("PK\x03\x04 zip of a torch.save file", "pickle");
  expect_refused("\x80\x02}q\x01. and more", "pickle");
}

TEST(Safetensors, RefusesWhatIsNotAFile) {
  const TempFolder folder;
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  for (const auto& path : {folder / "absent", folder / "fifo", folder.path(), std::filesystem::path("/dev/zero")}) {
    EXPECT_THAT([&] { SafetensorsFile::open(path); }, ThrowsMessage<std::invalid_argument>(HasSubstr(path.string())));
  }
}

TEST(Safetensors, WritesNothingWhereATensorIsWrong) {
  const TempFolder folder;
  const std::vector<float> values = {1.F, 2.F};
  const TensorView good = {.name = "a", .dtype = "F32", .shape = {2}, .bytes = bytes_of(values)};
  TensorView short_one = good, unknown = good, reserved = good;
  short_one.shape = {3};
  unknown.dtype = "float";
  reserved.name = "__metadata__";
  const std::vector<std::vector<TensorView>> wrong = {{short_one}, {unknown}, {reserved}, {good, good}};
  for (const auto& tensors : wrong) {
    EXPECT_THAT([&] { write_safetensors(folder / "model.safetensors", tensors, {}); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("model.safetensors")));
  }
  EXPECT_THROW(write_safetensors(folder / "absent" / "x", std::vector{good}, {}), std::invalid_argument);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, LeavesNoTemporaryFileBeside) {
  const TempFolder folder;
  write_safetensors(folder / "x", {}, {});
  write_safetensors(folder / "x", {}, {{"format", "pt"}});
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  EXPECT_TRUE(SafetensorsFile::open(folder / "x").tensors().empty());
}

}  // namespace safetensors_test
}  // namespace equipoise
