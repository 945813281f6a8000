#include "common/dataset/text_file.h"

#include <algorithm>
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

[[noreturn]] void refuse_text(const std::filesystem::path& path, const std::string& what) {
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
constexpr std::string_view kSevenZip =
    "is a 7z archive, expected JSONL, Parquet or Arrow: 7z x takes the files out of it";
constexpr std::string_view kTar =
    "is a tar archive, expected JSONL, Parquet or Arrow: tar -xf FILE takes the files out of it";
constexpr std::string_view kParquetStart = "PAR1", kArrowStart = "\xFF\xFF\xFF\xFF";
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
    Other{"7z\xBC\xAF\x27\x1C"sv, kSevenZip},
    Other{"\x1F\x9D"sv, "is compressed with compress, expected gzip, zstd or none: uncompress unpacks it"},
    Other{kParquetStart, "is Parquet, expected text"},
    Other{kArrowStart, "is an Arrow stream, expected text"},
    Other{"SQLite format 3"sv, "is an SQLite database, expected JSONL, Parquet or Arrow"},
    Other{"\x80\x04"sv, "is a Python pickle, which is never read, expected JSONL, Parquet or Arrow"},
    Other{"\x80\x05"sv, "is a Python pickle, which is never read, expected JSONL, Parquet or Arrow"},
};

// What a file is that is no text; empty where it may be one.
std::string_view other_than_text(std::string_view start) {
  constexpr std::size_t kTarMagic = 257;
  for (const Other& other : kOthers) {
    if (start.starts_with(other.start)) return other.what;
  }
  if (start.size() > kTarMagic && start.substr(kTarMagic).starts_with("ustar")) return kTar;
  // Of two bytes for each letter one is 0, and no text begins with that.
  const bool is_wide = start.size() > 1 && (start[0] == '\0') != (start[1] == '\0');
  return is_wide ? kUtf16 : "";
}

// Zstandard's first frame may be one that unpacks to nothing.
std::string_view compression_of(std::string_view start) {
  if (start.starts_with("\x1F\x8B"sv)) return "gzip";
  const bool is_skipped = start.size() >= 4 && (start[0] & 0xF0) == 0x50 && start.substr(1).starts_with("\x2A\x4D\x18");
  return is_skipped || start.starts_with("\x28\xB5\x2F\xFD"sv) ? "zstd" : "";
}

// The same of what is compressed: it is unpacked once.
std::string other_than_packed_text(std::string_view start, std::string_view compression) {
  const std::string_view inside = compression_of(start);
  const std::string unpack = ": " + std::string(compression) + " -dc FILE > NEW";
  if (!inside.empty()) {
    return "is compressed with " + std::string(compression) + ", and what is in it with " + std::string(inside) +
           (inside == compression ? " again" : "") + ", expected once" + unpack + " takes one of them off";
  }
  if (start.starts_with(kParquetStart) || start.starts_with(kArrowStart)) {
    return "is compressed with " + std::string(compression) + " and " +
           (start.starts_with(kParquetStart) ? "Parquet" : "an Arrow stream") +
           " when unpacked, which is read unpacked" + unpack;
  }
  const std::string_view what = other_than_text(start);
  return what.empty() ? "" : "is compressed with " + std::string(compression) + "; unpacked, it " + std::string(what);
}

}  // namespace

TextFile::TextFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code problem;
  const auto status = std::filesystem::status(path_, problem);
  if (!std::filesystem::exists(status)) refuse_text(path_, absent_file_fault(path_));
  // A pipe or a device could block or never end.
  if (!std::filesystem::is_regular_file(status)) refuse_text(path_, "is not a file");
  file_.reset(std::fopen(path_.c_str(), "rbe"));
  if (!file_) refuse_text(path_, std::string("cannot be read: ") + std::strerror(errno));
  std::array<char, 512> bytes{};
  const std::string_view start = read_start(bytes);
  const std::string_view compression = compression_of(start);
  std::rewind(file_.get());
  bytes_read_ = 0;
  if (!compression.empty()) {
    compressed_ = CompressedFile::open(path_, compression);
    const std::string fault = other_than_packed_text(read_start(bytes), compression);
    if (!fault.empty()) refuse_text(path_, fault);
    compressed_ = CompressedFile::open(path_, compression);
    bytes_read_ = 0;
    return;
  }
  // Whoever reads a text without a line says what it lacks.
  if (!start.empty()) check_download(path_);
  if (const std::string_view what = other_than_text(start); !what.empty()) refuse_text(path_, std::string(what));
}

// As many as there are, however few come at once.
std::string_view TextFile::read_start(std::span<char> bytes) {
  std::size_t size = 0;
  while (size < bytes.size()) {
    const std::size_t count = read(bytes.subspan(size));
    if (count == 0) break;
    size += count;
  }
  return {bytes.data(), size};
}

std::size_t TextFile::read(std::span<char> bytes) {
  if (compressed_) {
    const std::size_t unpacked = compressed_->read(bytes);
    bytes_read_ = compressed_->bytes_read();
    return unpacked;
  }
  const std::size_t count = std::fread(bytes.data(), 1, bytes.size(), file_.get());
  if (count == 0 && std::ferror(file_.get()) != 0)
    refuse_text(path_, std::string("cannot be read: ") + std::strerror(errno));
  bytes_read_ += static_cast<std::int64_t>(count);
  return count;
}

namespace {

constexpr std::size_t kChunkBytes = 1 << 16;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

LineReader::LineReader(std::filesystem::path path, Limits limits)
    : path_(std::move(path)), limits_(limits), file_(path_), chunk_(kChunkBytes), line_(limits.padding) {}

bool LineReader::next() {
  size_ = 0;
  if (chunk_begin_ == chunk_end_ && !fill_chunk()) return false;
  ++line_number_;
  while (chunk_begin_ < chunk_end_ || fill_chunk()) {
    const char* begin = chunk_.data() + chunk_begin_;
    const std::size_t available = chunk_end_ - chunk_begin_;
    const auto* end = static_cast<const char*>(std::memchr(begin, '\n', available));
    const std::size_t count = end == nullptr ? available : static_cast<std::size_t>(end - begin);
    append(begin, count);
    chunk_begin_ += count + (end == nullptr ? 0 : 1);
    if (end != nullptr) break;
  }
  if (line_number_ == 1) skip_byte_order_mark();
  return true;
}

bool LineReader::fill_chunk() {
  chunk_begin_ = 0;
  chunk_end_ = file_.read(chunk_);
  return chunk_end_ > 0;
}

void LineReader::append(const char* bytes, std::size_t count) {
  if (size_ + count > limits_.longest_line) refuse_length();
  const std::size_t needed = size_ + count + limits_.padding;
  if (line_.size() < needed) line_.resize(std::max(needed, 2 * line_.size()));
  std::copy_n(bytes, count, line_.data() + size_);
  size_ += count;
}

// What was read of the line says why it has no end.
void LineReader::refuse_length() const {
  const std::string what = "the line is longer than " + std::to_string(limits_.longest_line) + " bytes";
  if (line().find('\r') != std::string_view::npos) refuse(what + "; " + std::string(kCarriageReturnsAlone));
  const std::size_t start = line().find_first_not_of(" \t\xEF\xBB\xBF");
  const bool is_list = start != std::string_view::npos && line()[start] == '[';
  refuse(what + (is_list ? " and begins a list: jq -c '.[]' FILE > NEW turns a list into lines" : ""));
}

void LineReader::skip_byte_order_mark() {
  if (!line().starts_with(kByteOrderMark)) return;
  std::copy(line_.begin() + kByteOrderMark.size(), line_.begin() + static_cast<std::ptrdiff_t>(size_), line_.begin());
  size_ -= kByteOrderMark.size();
}

void LineReader::refuse(const std::string& what) const {
  throw std::invalid_argument(path_.string() + ":" + std::to_string(line_number_) + ": " + what);
}

}  // namespace equipoise
