#include "common/base/sha256.h"

#include <openssl/evp.h>

#include <stdexcept>

namespace equipoise {
namespace {

EVP_MD_CTX* evp(void* context) { return static_cast<EVP_MD_CTX*>(context); }

void expect_success(int outcome) {
  if (outcome != 1) throw std::runtime_error("OpenSSL refuses to compute SHA-256");
}

}  // namespace

void Sha256::Free::operator()(void* context) const { EVP_MD_CTX_free(evp(context)); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  expect_success(context_ ? EVP_DigestInit_ex(evp(context_.get()), EVP_sha256(), nullptr) : 0);
}

Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  expect_success(EVP_DigestUpdate(evp(context_.get()), bytes.data(), bytes.size()));
}

Digest Sha256::finish() {
  Digest digest;
  expect_success(EVP_DigestFinal_ex(evp(context_.get()), reinterpret_cast<unsigned char*>(digest.data()), nullptr));
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

}  // namespace equipoise
