#include "common/dataset/token_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

const Digest kKey{std::byte{1}, std::byte{2}};

class Store : public testing::Test {
 protected:
  void write(const std::vector<std::int32_t>& ids, const std::vector<double>& weights = {0.5}) const {
    const std::vector<TokenStore::Column> columns = {{.name = "id", .bytes = std::as_bytes(std::span(ids))},
                                                     {.name = "weight", .bytes = std::as_bytes(std::span(weights))}};
    TokenStore::write(path_, kKey, columns);
  }
  // What is said of the file with one byte changed, or cut to a length.
  std::string refusal() const {
    try {
      TokenStore::open(path_, kKey);
    } catch (const std::invalid_argument& problem) {
      EXPECT_THAT(problem.what(), HasSubstr(path_.string()));
      return std::string(problem.what()).substr(path_.string().size() + 1);
    }
    return "accepted";
  }

  TempFolder folder_;
  std::filesystem::path path_ = folder_ / "store";
};

TEST_F(Store, GivesColumnsAsTheyWereWritten) {
  write({1, -2, 3}, {0.5, 1e300});
  const auto store = TokenStore::open(path_, kKey);
  ASSERT_TRUE(store);
  EXPECT_THAT(store->column<std::int32_t>("id"), ElementsAre(1, -2, 3));
  EXPECT_THAT(store->column<double>("weight"), ElementsAre(0.5, 1e300));
}

TEST_F(Store, IsNothingWhereThereIsNoFile) {
  EXPECT_FALSE(TokenStore::open(path_, kKey));
  EXPECT_FALSE(TokenStore::open(folder_ / "no/store", kKey));
}

TEST_F(Store, RefusesAnotherKey) {
  write({1});
  EXPECT_THAT([&] { TokenStore::open(path_, Digest{}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("holds the tokens of something else")));
}

TEST_F(Store, RefusesWhateverByteIsChanged) {
  write({1, 2, 3});
  const std::string good = read_file(path_);
  for (std::size_t place = 0; place < good.size(); ++place) {
    std::string changed = good;
    changed[place] = static_cast<char>(changed[place] ^ 1);
    folder_.write("store", changed);
    EXPECT_NE(refusal(), "accepted") << place;
  }
}

TEST_F(Store, RefusesWhateverIsCutOffOrAdded) {
  write({1, 2, 3});
  const std::string good = read_file(path_);
  for (std::size_t size = 0; size < good.size(); ++size) {
    folder_.write("store", good.substr(0, size));
    EXPECT_THAT(refusal(), HasSubstr("is cut short")) << size;
  }
  folder_.write("store", good + "x");
  EXPECT_THAT(refusal(), HasSubstr("is cut short"));
  folder_.write("store",
                "something else, long enough to be a header of a store, and that is all that it is. More. More.");
  EXPECT_EQ(refusal(), "is not a token store");
}

// With a right checksum, as only somebody makes it who wants to.
TEST_F(Store, RefusesColumnsOutsideOfTheFile) {
  write({1, 2, 3});
  const std::string good = read_file(path_);
  constexpr std::size_t kHeader = 80, kCount = 8, kName = 24;
  const auto forged = [&](std::size_t place, std::uint64_t number) {
    std::string file = good;
    std::memcpy(file.data() + place, &number, sizeof(number));
    Sha256 sha256;
    sha256.update(std::string_view(file).substr(kHeader));
    const Digest checksum = sha256.finish();
    std::memcpy(file.data() + 48, checksum.data(), checksum.size());
    folder_.write("store", file);
    return refusal();
  };
  EXPECT_EQ(forged(kHeader, 65), "has more columns than fit");
  EXPECT_EQ(forged(kHeader, std::uint64_t{1} << 61), "has more columns than fit");
  EXPECT_EQ(forged(kHeader + kCount + kName, std::uint64_t{1} << 62), "has a column outside of the file");
  EXPECT_EQ(forged(kHeader + kCount + kName, 1), "has a column outside of the file");
  EXPECT_EQ(forged(kHeader + kCount + kName + 8, ~std::uint64_t{0}), "has a column outside of the file");
}

TEST_F(Store, RefusesAColumnThatIsNotThereOrOfAnotherType) {
  write({1, 2, 3});
  const auto store = TokenStore::open(path_, kKey);
  EXPECT_THAT([&] { store->column<std::int32_t>("none"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("has no column \"none\"")));
  EXPECT_THAT([&] { store->column<double>("id"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("has a broken column \"id\"")));
}

// A reader sees one whole file or another, whoever writes meanwhile.
TEST_F(Store, ManyWritersAndReadersAgree) {
  write({7, 7, 7});
  std::vector<std::jthread> threads;
  for (int writer = 0; writer < 3; ++writer) {
    threads.emplace_back([&, writer] {
      for (int round = 0; round < 20; ++round) write(std::vector<std::int32_t>(1000, writer));
    });
  }
  threads.emplace_back([&] {
    for (int round = 0; round < 60; ++round) {
      const auto store = TokenStore::open(path_, kKey);
      ASSERT_TRUE(store);
      const auto ids = store->column<std::int32_t>("id");
      EXPECT_THAT(ids, testing::Each(ids.front()));
    }
  });
  threads.clear();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

}  // namespace
}  // namespace equipoise
