#include "client/data/new_bytes.h"

#include <gtest/gtest.h>

#include <vector>

namespace equipoise {
namespace new_bytes_test {

TEST(NewBytes, AreThoseSinceTheCallBefore) {
  NewBytes new_bytes;
  EXPECT_EQ(new_bytes.take(4), 4);
  EXPECT_EQ(new_bytes.take(4), 0);
  EXPECT_EQ(new_bytes.take(10), 6);
}

TEST(NewBytes, AreToldWhereThereAreAny) {
  std::vector<std::int64_t> told;
  NewBytes new_bytes;
  for (const std::int64_t bytes : {0, 4, 4, 10})
    new_bytes.tell(bytes, [&](std::int64_t more) { told.push_back(more); });
  EXPECT_EQ(told, (std::vector<std::int64_t>{4, 6}));
  new_bytes.tell(12, {});
  EXPECT_EQ(new_bytes.take(13), 1);
}

}  // namespace new_bytes_test
}  // namespace equipoise
