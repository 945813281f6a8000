#include "coordinator/job/page_tokens.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <span>
#include <stdexcept>

#include "common/base/sha256.h"
#include "coordinator/job/random_source.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kSignatureBytes = 16;

// "<position in hexadecimal>-<signature>".
std::string signed_position(const std::string& key, const std::string& list, const std::string& position) {
  const std::string text = list + '\0' + position;
  std::array<unsigned char, EVP_MAX_MD_SIZE> signature{};
  unsigned int length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), signature.data(), &length);
  return position + "-" + hex_text(std::as_bytes(std::span(signature)).first(kSignatureBytes));
}

}  // namespace

std::string PageTokens::make(const std::string& list, std::int64_t position) const {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), position, 16);
  return signed_position(key_, list, std::string(digits.data(), end.ptr));
}

std::optional<std::int64_t> PageTokens::position(const std::string& list, const std::string& token) const {
  if (token.empty()) return std::nullopt;
  const std::string digits = token.substr(0, token.find('-'));
  std::int64_t position = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), position, 16);
  const bool is_number = error == std::errc() && end == digits.data() + digits.size();
  if (is_number && equal_secrets(signed_position(key_, list, digits), token)) return position;
  throw std::invalid_argument(
      "page_token is not one that this service gave for this list and filter; leave it empty to begin again");
}

int checked_page_size(int page_size, PageSizes sizes) {
  if (page_size == 0) return sizes.absent;
  if (page_size > 0 && page_size <= sizes.largest) return page_size;
  throw std::invalid_argument("page_size is " + std::to_string(page_size) + ", expected 1 to " +
                              std::to_string(sizes.largest) + ", or 0 for " + std::to_string(sizes.absent));
}

}  // namespace equipoise::coordinator
