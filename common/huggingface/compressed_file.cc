#include "common/huggingface/compressed_file.h"

#include <utility>

#include "common/huggingface/rust_bridge.h"
#include "common/huggingface/rust_values.h"

namespace equipoise {

CompressedFile::CompressedFile(std::filesystem::path path, void* handle) : path_(std::move(path)), handle_(handle) {}
CompressedFile::CompressedFile(CompressedFile&&) noexcept = default;
CompressedFile& CompressedFile::operator=(CompressedFile&&) noexcept = default;
CompressedFile::~CompressedFile() = default;

void CompressedFile::Deleter::operator()(void* handle) const {
  eqhf_compressed_free(static_cast<eqhf_compressed*>(handle));
}

CompressedFile CompressedFile::open(const std::filesystem::path& path, std::string_view format) {
  eqhf_compressed* handle = nullptr;
  throw_if_failed(eqhf_compressed_open(lend(path.native()), lend(format), &handle), path.string() + ": ");
  return CompressedFile(path, handle);
}

std::size_t CompressedFile::read(std::span<char> bytes) {
  std::size_t count = 0;
  throw_if_failed(
      eqhf_compressed_read(static_cast<eqhf_compressed*>(handle_.get()), bytes.data(), bytes.size(), &count),
      path_.string() + ": ");
  return count;
}

std::int64_t CompressedFile::bytes_read() const {
  return static_cast<std::int64_t>(eqhf_compressed_bytes_read(static_cast<eqhf_compressed*>(handle_.get())));
}

}  // namespace equipoise
