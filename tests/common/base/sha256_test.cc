#include "common/base/sha256.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace sha256_test {

std::string sha256_of(std::string_view text) {
  Sha256 sha256;
  sha256.update(text);
  return hex_text(sha256.finish());
}

// The examples of FIPS 180-4.
TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, DoesNotCareHowTheBytesAreCut) {
  Sha256 sha256;
  for (const char* piece : {"a", "", "bc"}) sha256.update(piece);
  EXPECT_EQ(hex_text(sha256.finish()), sha256_of("abc"));
}

}  // namespace sha256_test
}  // namespace equipoise
