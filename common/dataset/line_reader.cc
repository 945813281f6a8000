#include "common/dataset/line_reader.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace equipoise {
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
