// Numbers nobody can guess, for ids and attempt tokens; passed in so that a run can be repeated in a test.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace equipoise::coordinator {

class RandomSource {
 public:
  virtual ~RandomSource() = default;
  // `num_bytes` random bytes as lower-case hexadecimal digits, two a byte.
  virtual std::string hex(std::size_t num_bytes) = 0;
};

// From OpenSSL's generator. Throws std::runtime_error where the system has no randomness to give.
class SystemRandomSource final : public RandomSource {
 public:
  std::string hex(std::size_t num_bytes) override;
};

// Whether two secrets are equal, in a time that does not tell where they differ.
bool equal_secrets(std::string_view left, std::string_view right);

}  // namespace equipoise::coordinator
