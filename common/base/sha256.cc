#include "common/base/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <vector>

namespace equipoise {
namespace {

void expect_success(int outcome) {
  if (outcome != 1) throw std::runtime_error("OpenSSL refuses to compute SHA-256");
}

}  // namespace

struct Sha256::State {
  struct FreeContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, FreeContext> context{EVP_MD_CTX_new()};
  std::array<std::byte, 1 << 12> gathered;
  std::size_t size = 0;  // of what is gathered
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  expect_success(state_->context ? EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) : 0);
}

Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  if (bytes.size() > state_->gathered.size() - state_->size) flush();
  if (bytes.size() > state_->gathered.size()) {
    return expect_success(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()));
  }
  std::ranges::copy(bytes, state_->gathered.begin() + static_cast<std::ptrdiff_t>(state_->size));
  state_->size += bytes.size();
}

void Sha256::flush() {
  expect_success(EVP_DigestUpdate(state_->context.get(), state_->gathered.data(), state_->size));
  state_->size = 0;
}

bool Sha256::update_from(const std::filesystem::path& file, const std::function<void(std::int64_t)>& on_bytes) {
  std::ifstream stream(file, std::ios::binary);
  std::vector<char> piece(1 << 20);
  while (stream.read(piece.data(), static_cast<std::streamsize>(piece.size())) || stream.gcount() > 0) {
    update(std::string_view(piece.data(), static_cast<std::size_t>(stream.gcount())));
    if (on_bytes) on_bytes(stream.gcount());
  }
  return stream.eof();
}

Digest Sha256::so_far() {
  flush();
  Sha256 copy;
  expect_success(EVP_MD_CTX_copy_ex(copy.state_->context.get(), state_->context.get()));
  return copy.finish();
}

Digest Sha256::finish() {
  flush();
  Digest digest;
  expect_success(EVP_DigestFinal_ex(state_->context.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr));
  return digest;
}

Digest sha256_of(std::span<const std::byte> bytes) {
  Sha256 sha256;
  sha256.update(bytes);
  return sha256.finish();
}

std::optional<Digest> digest_of_hex(std::string_view text) {
  Digest digest;
  if (text.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    unsigned byte = 0;
    for (const char digit : text.substr(2 * i, 2)) {
      const bool is_letter = digit >= 'a' && digit <= 'f';
      if (!is_letter && (digit < '0' || digit > '9')) return std::nullopt;
      byte = byte * 16 + static_cast<unsigned>(is_letter ? digit - 'a' + 10 : digit - '0');
    }
    digest[i] = static_cast<std::byte>(byte);
  }
  return digest;
}

std::string hex_text(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

std::string byte_text(const Digest& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

}  // namespace equipoise
