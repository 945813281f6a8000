#include "worker/data/row_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace equipoise {
namespace row_keys_test {

using Ids = std::vector<std::int32_t>;
using Keys = std::vector<std::int64_t>;

Keys of_prompt(const Ids& prompt, const DropoutDraw& draw = {}) {
  RowKeys keys(draw);
  keys.add_prompt(prompt);
  return keys.values();
}
Keys of_answer(const Ids& prompt, const Ids& answer, const DropoutDraw& draw = {}) {
  RowKeys keys(draw);
  keys.add_answer(prompt, answer);
  return keys.values();
}

TEST(RowKeys, AreAFunctionOfTheTextAlone) {
  RowKeys keys({.seed = 1, .step = 2});
  keys.add_answer({}, Ids{9});
  keys.add_prompt(Ids{1, 2});
  keys.add_answer(Ids{1, 2}, Ids{3});
  Keys wanted = of_answer({}, {9}, {.seed = 1, .step = 2});
  for (const Keys& more : {of_prompt({1, 2}, {.seed = 1, .step = 2}), of_answer({1, 2}, {3}, {.seed = 1, .step = 2})}) {
    wanted.insert(wanted.end(), more.begin(), more.end());
  }
  EXPECT_EQ(keys.values(), wanted);
}

TEST(RowKeys, DifferInEverythingThatMakesARow) {
  std::set<std::int64_t> keys;
  std::size_t rows = 0;
  const auto add = [&](const Keys& more) {
    rows += more.size();
    keys.insert(more.begin(), more.end());
  };
  for (const DropoutDraw& draw : {DropoutDraw{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, -1}}) {
    for (const Ids& prompt : {Ids{1, 2, 3}, {1, 2}, {2, 1}, {0}, {0, 0}, {-1}}) {
      add(of_prompt(prompt, draw));
      // Where the prompt ends is part of it: 1 2 | 3 is not 1 | 2 3.
      for (const Ids& answer : {Ids{1, 2}, {2}, {3}, {2, 3}}) add(of_answer(prompt, answer, draw));
    }
  }
  EXPECT_EQ(keys.size(), rows);
}

}  // namespace row_keys_test
}  // namespace equipoise
