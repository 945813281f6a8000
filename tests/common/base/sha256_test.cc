#include "common/base/sha256.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/temp_folder.h"

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

// Of Python's hashlib, over 3 "abc", -2, 2 0.5 -1: counts have 64 bits.
TEST(Sha256, PutsTheLengthBeforeTextsAndLists) {
  Sha256 sha256;
  sha256.add_text("abc");
  sha256.add_number(std::int32_t{-2});
  sha256.add_list(std::vector<double>{0.5, -1});
  EXPECT_EQ(hex_text(sha256.finish()), "20b8906b1e3f218f60d7bce45db1bb0f1d17bc09978507790c698fe9a8eb208a");
  const auto of = [](std::string_view first, std::string_view second) {
    Sha256 pair;
    pair.add_text(first);
    pair.add_text(second);
    return pair.finish();
  };
  EXPECT_NE(of("ab", "c"), of("a", "bc"));
}

// More than is gathered before it is hashed, in pieces of all sizes.
TEST(Sha256, DoesNotCareHowManyBytesComeAtOnce) {
  const std::string text(100'000, 'x');
  for (const std::size_t piece : {1UL, 4095UL, 4096UL, 4097UL, 100'000UL}) {
    Sha256 sha256;
    for (std::size_t i = 0; i < text.size(); i += piece) sha256.update(std::string_view(text).substr(i, piece));
    EXPECT_EQ(hex_text(sha256.finish()), "d69e68988157833272305aaf21f453c800346e8a3640db6578e260215542e5d4") << piece;
  }
}

TEST(Sha256, TakesTheBytesOfAFileAndSaysWhetherItCould) {
  const TempFolder folder;
  Sha256 sha256;
  EXPECT_TRUE(sha256.update_from(folder.write("x", std::string(1 << 20, 'x') + "y")));
  EXPECT_EQ(hex_text(sha256.finish()), "56c8a5b6a4fb60400890961be33dbd0b282ede8638910aa613fd7678c223aa08");
  std::int64_t bytes = 0;
  EXPECT_TRUE(Sha256().update_from(folder / "x", [&bytes](std::int64_t read) { bytes += read; }));
  EXPECT_EQ(bytes, (1 << 20) + 1);
  EXPECT_FALSE(Sha256().update_from(folder / "absent"));
  EXPECT_FALSE(Sha256().update_from(folder.path()));
}

}  // namespace sha256_test
}  // namespace equipoise
