// A file of named columns of numbers that is read in place: the token ids of a data file and all that belongs to them.
// It is written from front to end, so that it may be larger than memory, and several columns may have one name: the
// next piece of the data each.
//
// Layout, little-endian: "EQTOKEN2"; the columns, each at a multiple of 64 bytes, zeros between them; at a multiple of
// 8 for each column its name (24 bytes, zeros after it), its place in the file and its size in bytes (u64 each); at the
// end the place of that list, its length, the file's size (u64 each), the key (32 bytes) and the SHA-256 of all before.
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

#include "common/base/durable_file.h"
#include "common/base/sha256.h"

namespace equipoise {

// Writes a file aside. Not thread-safe.
class TokenStoreWriter {
 public:
  // Throws as DurableFile.
  TokenStoreWriter(const std::filesystem::path& path, const Digest& key);

  // The name has 1 to 24 bytes. Throws std::runtime_error naming the file where the disk refuses.
  void add(std::string_view name, std::span<const std::byte> bytes);
  template <class Number>
  void add(std::string_view name, std::span<const Number> numbers) {
    add(name, std::as_bytes(numbers));
  }
  // The file stands at its path, with all columns. Nothing may be added any more. Throws as add().
  void commit();

 private:
  struct Entry {
    char name[24] = {};
    std::uint64_t place = 0, size = 0;
  };
  friend class TokenStore;
  void write(std::span<const std::byte> bytes);
  void align(std::size_t alignment);

  DurableFile file_;
  Digest key_;
  Sha256 sha256_;
  std::uint64_t place_ = 0;
  std::vector<Entry> entries_;
};

class TokenStore {
 public:
  // Maps a file and checks all of it. Nothing where there is no such file. Throws std::invalid_argument naming the file
  // and what is wrong: cut short, another key, changed bytes, columns that do not fit.
  // A file that is cut short later, while it is mapped, ends the process.
  static std::optional<TokenStore> open(const std::filesystem::path& path, const Digest& key);

  // All columns of a name, in the order in which they were added. They live as long as the store, wherever it is moved.
  // Throws std::invalid_argument naming the file where there is none, or a size is not a multiple of the type's.
  template <class Number>
  std::vector<std::span<const Number>> columns(std::string_view name) const {
    static_assert(std::is_trivially_copyable_v<Number> && alignof(Number) <= 64);
    std::vector<std::span<const Number>> found;
    for (const std::span<const std::byte> bytes : bytes_of(name, sizeof(Number))) {
      found.emplace_back(reinterpret_cast<const Number*>(bytes.data()), bytes.size() / sizeof(Number));
    }
    return found;
  }
  // The only column of a name. Throws as columns(), and where there are several.
  template <class Number>
  std::span<const Number> column(std::string_view name) const {
    const auto found = columns<Number>(name);
    if (found.size() != 1) refuse("has more than one column \"" + std::string(name) + "\"");
    return found.front();
  }
  // Of a column that has been read and will not be soon: its pages are no longer this process's, until it is read
  // again.
  void let_go(std::span<const std::byte> bytes) const;
  // Throws std::invalid_argument naming the file.
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  struct Column {
    std::string name;
    std::span<const std::byte> bytes;
  };
  struct Unmap {
    std::size_t size = 0;
    void operator()(const std::byte* bytes) const;
  };
  TokenStore(std::filesystem::path path, std::unique_ptr<const std::byte, Unmap> bytes);
  std::span<const std::byte> all() const { return {bytes_.get(), bytes_.get_deleter().size}; }
  void check(const Digest& key) const;
  void read_columns();
  std::vector<std::span<const std::byte>> bytes_of(std::string_view name, std::size_t number_size) const;

  std::filesystem::path path_;
  std::unique_ptr<const std::byte, Unmap> bytes_;
  std::vector<Column> columns_;
};

}  // namespace equipoise
