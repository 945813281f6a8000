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

TEST(Safetensors, TellsOfEachPieceOfALargeTensor) {
  const TempFolder folder;
  constexpr std::size_t kNumbers = (std::size_t{5} << 20) + 1;  // 20 MiB and a number
  std::vector<float> values(kNumbers);
  for (std::size_t i = 0; i < kNumbers; ++i) values[i] = static_cast<float>(i);
  const std::vector<TensorView> tensors = {
      {.name = "a", .dtype = "F32", .shape = {static_cast<std::int64_t>(kNumbers)}, .bytes = bytes_of(values)},
      {.name = "b", .dtype = "F32", .shape = {1}, .bytes = bytes_of(values).first(sizeof(float))}};
  std::vector<std::int64_t> pieces;
  write_safetensors(folder / "x", tensors, {}, [&pieces](std::int64_t bytes) { pieces.push_back(bytes); });
  EXPECT_THAT(pieces, ElementsAre(16 << 20, (4 << 20) + 4, 4));
  const SafetensorsFile file = SafetensorsFile::open(folder / "x");
  ASSERT_NE(file.find("a"), nullptr);
  EXPECT_TRUE(std::ranges::equal(file.find("a")->bytes, tensors[0].bytes));
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

TEST(Safetensors, SaysWhereTensorsDoNotLieAsTheyShould) {
  const std::string first = "{" + entry("a", "F32", "[1]", 0, 4) + ",";
  const auto with_b = [&](int begin, int end, const std::string& data) {
    return file_with(first + entry("b", "F32", "[1]", begin, end) + "}", data);
  };
  expect_refused(with_b(5, 9, "123456789"), "holds 1 bytes before tensor b that belong to no tensor: the program");
  expect_refused(with_b(2, 6, "123456"), "has tensor b begin before tensor a ends");
  expect_refused(with_b(4, 8, "1234567"), "it was cut short, download it again");
  const std::string whole = with_b(4, 8, "12345678");
  expect_refused(whole + std::string(512, '\0'),
                 "holds 512 bytes behind its last tensor, expected none: something was "
                 "appended to it; download it again, or cut them off: head -c " +
                     std::to_string(whole.size()) + " FILE > NEW");
  expect_refused(file_with("{" + entry("a", "F32", "[3]", 0, 8) + "}", kEightBytes),
                 "has tensor a of shape [3] and type F32, which is 12 bytes, in a place from 0 to 8");
  expect_refused(file_with("{" + entry("a", "Q4_K", "[3]", 0, 8) + "}", kEightBytes),
                 "tensor a of type Q4_K, expected");
}

TEST(Safetensors, SaysWhatAFileIsInstead) {
  const std::string rest(300, '\1');
  expect_refused("GGUF\3" + rest, "is a GGUF file, which is for inference");
  expect_refused("\x80\4" + rest, "is a pickle, expected safetensors; pickles can run code");
  expect_refused("\x1F\x8B\x08" + rest, "is compressed with gzip, expected safetensors: gzip -dc");
  expect_refused("\x28\xB5\x2F\xFD" + rest, "is compressed with zstd");
  expect_refused("\x89HDF\r\n\x1A\n" + rest, "is an HDF5 file");
  expect_refused("\x93NUMPY" + rest, "is a NumPy array");
  expect_refused("model" + std::string(252, '\0') + "ustar" + rest, "is a tar archive");
  expect_refused(std::string(400, '\0'), "begins with zeros: the download or the copy is not complete");
  expect_refused("Entry not found", "is text that begins with \"Entry not found\"");
  expect_refused("{\"error\": \"no\"}", "is text that begins with");
}

// 0x0280 bytes of header: a file that begins as a pickle does.
TEST(Safetensors, AreReadWhateverTheirLengthLooksLike) {
  const TempFolder folder;
  for (const std::size_t length : {0x0280U, 0x0480U, 0x8B1FU}) {
    std::string header = "{" + entry("a", "F32", "[2]", 0, 8) + "}";
    header.resize(length, ' ');
    const auto file = SafetensorsFile::open(folder.write("x", file_with(header, kEightBytes)));
    EXPECT_EQ(file.tensors().size(), 1U);
  }
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
