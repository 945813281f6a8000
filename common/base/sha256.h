// SHA-256 over what comes in pieces: bytes, numbers, texts and lists. Every digest of the project is made here, so that
// lists and texts stand behind their lengths everywhere, and no two series of them run into each other.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace equipoise {

using Digest = std::array<std::byte, 32>;

// Small pieces are gathered before they are hashed. Not thread-safe. Throws std::runtime_error if the library has no
// SHA-256.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  // The bytes alone, without their number.
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }

  // As it stands in memory; digests that are kept or sent are over little-endian numbers.
  template <class Number>
  void add_number(Number number) {
    static_assert(std::is_arithmetic_v<Number> && std::endian::native == std::endian::little);
    update(std::as_bytes(std::span(&number, 1)));
  }
  // The number of elements as 64 bits, then the elements as they stand in memory.
  template <class List>
  void add_list(const List& list) {
    static_assert(!std::is_array_v<List>, "a literal ends in a zero: add_text()");
    add_number(std::uint64_t{list.size()});
    update(std::as_bytes(std::span(list)));
  }
  void add_text(std::string_view text) { add_list(text); }
  // All bytes of a file alone. False where it cannot be read to its end. `on_bytes` is called after each piece.
  bool update_from(const std::filesystem::path& file, const std::function<void(std::int64_t)>& on_bytes = {});

  Digest so_far();  // of what was added until now; more may follow
  Digest finish();  // once, after all that is added

 private:
  struct State;
  void flush();

  std::unique_ptr<State> state_;
};

Digest sha256_of(std::span<const std::byte> bytes);

std::string hex_text(std::span<const std::byte> bytes);  // lower case, two digits a byte
// The digest that hex_text() made the text of; nothing where it is none.
std::optional<Digest> digest_of_hex(std::string_view text);
std::string byte_text(const Digest& digest);  // the 32 bytes themselves, as messages and databases hold them

}  // namespace equipoise
