#include "client/data/fnv_hash.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace fnv_hash_test {

// The test vectors of draft-eastlake-fnv, appendix C.
TEST(Fnv1a, HasTheNumbersOfItsAuthors) {
  EXPECT_EQ(fnv1a(""), 0xCBF29CE484222325ULL);
  EXPECT_EQ(fnv1a("a"), 0xAF63DC4C8601EC8CULL);
  EXPECT_EQ(fnv1a("foobar"), 0x85944171F73967E8ULL);
}

}  // namespace fnv_hash_test
}  // namespace equipoise
