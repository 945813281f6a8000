// A file of named columns of numbers that is read in place: the token ids of a data file and all that belongs to them.
//
// Layout, little-endian: "EQTOKENS", the file's size (u64), the key (32 bytes), the SHA-256 of all that follows; then
// the number of columns (u64) and for each its name (24 bytes, zeros after it), its place in the file and its size in
// bytes (u64 each); then the columns, each at a multiple of 64 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/base/sha256.h"

namespace equipoise {

class TokenStore {
 public:
  struct Column {
    std::string name;  // 1 to 24 bytes
    std::span<const std::byte> bytes;
  };
  // Writes the file aside and renames it into place. Throws as DurableFile.
  static void write(const std::filesystem::path& path, const Digest& key, std::span<const Column> columns);

  // Maps a file and checks all of it. Nothing where there is no such file. Throws std::invalid_argument naming the file
  // and what is wrong: cut short, another key, changed bytes, columns that do not fit.
  // A file that is cut short later, while it is mapped, ends the process.
  static std::optional<TokenStore> open(const std::filesystem::path& path, const Digest& key);

  // Lives as long as the store. Throws std::invalid_argument naming the file where there is no such column, or its size
  // is not a multiple of the type's.
  template <class Number>
  std::span<const Number> column(std::string_view name) const {
    static_assert(std::is_arithmetic_v<Number>);
    const std::span<const std::byte> bytes = bytes_of(name, sizeof(Number));
    return {reinterpret_cast<const Number*>(bytes.data()), bytes.size() / sizeof(Number)};
  }
  // Throws std::invalid_argument naming the file.
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  struct Unmap {
    std::size_t size = 0;
    void operator()(const std::byte* bytes) const;
  };
  TokenStore(std::filesystem::path path, std::unique_ptr<const std::byte, Unmap> bytes);
  std::span<const std::byte> all() const { return {bytes_.get(), bytes_.get_deleter().size}; }
  void check(const Digest& key) const;
  void read_columns();
  std::span<const std::byte> bytes_of(std::string_view name, std::size_t number_size) const;

  std::filesystem::path path_;
  std::unique_ptr<const std::byte, Unmap> bytes_;
  std::vector<Column> columns_;
};

}  // namespace equipoise
