#include "coordinator/job/random_source.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <stdexcept>
#include <vector>

#include "common/base/sha256.h"

namespace equipoise::coordinator {

std::string SystemRandomSource::hex(std::size_t num_bytes) {
  std::vector<unsigned char> bytes(num_bytes);
  if (RAND_bytes(bytes.data(), static_cast<int>(num_bytes)) != 1) {
    throw std::runtime_error("the system gave no random bytes");
  }
  return hex_text(std::as_bytes(std::span(bytes)));
}

bool equal_secrets(std::string_view left, std::string_view right) {
  return left.size() == right.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

}  // namespace equipoise::coordinator
