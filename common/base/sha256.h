// SHA-256 over bytes that come in pieces.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace equipoise {

using Digest = std::array<std::byte, 32>;

// Not thread-safe. Throws std::runtime_error if the library has no SHA-256.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  Digest finish();  // once, after the last update

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

std::string hex_text(std::span<const std::byte> bytes);  // lower case, two digits a byte

}  // namespace equipoise
