#include "common/dataset/text_file.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/download_fault.h"

namespace equipoise {
namespace {

using namespace std::string_view_literals;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw std::invalid_argument(path.string() + ": " + what);
}

// How other files than text begin.
struct Other {
  std::string_view start;
  std::string_view what;
};
constexpr std::string_view kUtf16 = "is UTF-16, expected UTF-8: iconv -f utf-16 -t utf-8 FILE > NEW turns it into that";
constexpr std::string_view kBzip2 = "is compressed with bzip2, expected gzip, zstd or none: bunzip2 unpacks it";
constexpr std::string_view kZip =
    "is a zip archive (as .xlsx and .npz are), expected JSONL, Parquet or Arrow: take the data out of it";
constexpr std::array kOthers = {
    Other{"\xFF\xFE\0\0"sv, "is UTF-32, expected UTF-8: iconv -f utf-32 -t utf-8 FILE > NEW turns it into that"},
    Other{"\xFF\xFE"sv, kUtf16},
    Other{"\xFE\xFF"sv, kUtf16},
    Other{"BZh"sv, kBzip2},
    Other{"\xFD"
          "7zXZ\0"sv,
          "is compressed with xz, expected gzip, zstd or none: unxz unpacks it"},
    Other{"\x04\x22\x4D\x18"sv, "is compressed with lz4, expected gzip, zstd or none: unlz4 unpacks it"},
    Other{"PK\x03\x04"sv, kZip},
    Other{"ARROW1"sv, "is an Arrow file (Feather), expected an Arrow stream, Parquet or JSONL"},
    Other{"PAR1"sv, "is Parquet, expected text"},
    Other{"\xFF\xFF\xFF\xFF"sv, "is an Arrow stream, expected text"},
    Other{"SQLite format 3"sv, "is an SQLite database, expected JSONL, Parquet or Arrow"},
    Other{"\x80\x04"sv, "is a Python pickle, which is never read, expected JSONL, Parquet or Arrow"},
    Other{"\x80\x05"sv, "is a Python pickle, which is never read, expected JSONL, Parquet or Arrow"},
};

void check_start(const std::filesystem::path& path, std::string_view start) {
  for (const Other& other : kOthers) {
    if (start.starts_with(other.start)) refuse(path, std::string(other.what));
  }
  // Of two bytes for each letter one is 0, and no text begins with that.
  const bool is_wide = start.size() > 1 && (start[0] == '\0') != (start[1] == '\0');
  if (is_wide) refuse(path, std::string(kUtf16));
}

std::string_view compression_of(std::string_view start) {
  if (start.starts_with("\x1F\x8B"sv)) return "gzip";
  return start.starts_with("\x28\xB5\x2F\xFD"sv) ? "zstd" : "";
}

}  // namespace

TextFile::TextFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code problem;
  const auto status = std::filesystem::status(path_, problem);
  if (!std::filesystem::exists(status)) refuse(path_, absent_file_fault(path_));
  // A pipe or a device could block or never end.
  if (!std::filesystem::is_regular_file(status)) refuse(path_, "is not a file");
  file_.reset(std::fopen(path_.c_str(), "rbe"));
  if (!file_) refuse(path_, std::string("cannot be read: ") + std::strerror(errno));
  std::array<char, 32> bytes{};
  std::size_t count = read(bytes);
  const std::string_view compression = compression_of({bytes.data(), count});
  std::rewind(file_.get());
  if (!compression.empty()) {
    compressed_ = CompressedFile::open(path_, compression);
    count = read(bytes);
    compressed_ = CompressedFile::open(path_, compression);
  }
  // Whoever reads a text without a line says what it lacks.
  if (const std::string fault = download_fault(path_); count > 0 && !fault.empty()) refuse(path_, fault);
  check_start(path_, {bytes.data(), count});
}

std::size_t TextFile::read(std::span<char> bytes) {
  if (compressed_) return compressed_->read(bytes);
  const std::size_t count = std::fread(bytes.data(), 1, bytes.size(), file_.get());
  if (count == 0 && std::ferror(file_.get()) != 0)
    refuse(path_, std::string("cannot be read: ") + std::strerror(errno));
  return count;
}

}  // namespace equipoise
