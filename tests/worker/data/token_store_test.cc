#include "worker/data/token_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace token_store_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

const Digest kKey{std::byte{1}, std::byte{2}};

class Store : public testing::Test {
 protected:
  void write(const std::vector<std::int32_t>& ids, const std::vector<double>& weights = {0.5}) const {
    TokenStoreWriter store(path_, kKey);
    store.add("id", std::span(ids));
    store.add("weight", std::span(weights));
    store.commit();
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
  folder_.write(
      "store",
      "something else, long enough to be a store, and that is all that it is. More. More. More. More. More. More.");
  EXPECT_EQ(refusal(), "is not a token store");
}

// With a right checksum, as only somebody makes it who wants to. At the end are the place of the list of columns, its
// length, the file's size, the key and the checksum; an entry is a name, a place and a size.
TEST_F(Store, RefusesColumnsOutsideOfTheFile) {
  write({1, 2, 3});
  const std::string good = read_file(path_);
  constexpr std::size_t kFooter = 88, kEntry = 40, kName = 24;
  const std::size_t footer = good.size() - kFooter, directory = footer - 2 * kEntry;
  const auto forged = [&](std::size_t place, std::uint64_t number) {
    std::string file = good.substr(0, good.size() - sizeof(Digest));
    std::memcpy(file.data() + place, &number, sizeof(number));
    Sha256 sha256;
    sha256.update(file);
    const Digest checksum = sha256.finish();
    file.append(reinterpret_cast<const char*>(checksum.data()), checksum.size());
    folder_.write("store", file);
    return refusal();
  };
  ASSERT_EQ(forged(footer, directory), "accepted");
  EXPECT_EQ(forged(footer, directory + 8), "has a list of columns that does not fit");
  EXPECT_EQ(forged(footer, directory + kEntry), "has a list of columns that does not fit");
  EXPECT_EQ(forged(footer, ~std::uint64_t{0}), "has a list of columns that does not fit");
  EXPECT_EQ(forged(footer, good.size() - 8), "has a list of columns that does not fit");
  EXPECT_EQ(forged(footer + 8, 3), "has a list of columns that does not fit");
  EXPECT_EQ(forged(footer + 8, std::uint64_t{1} << 61), "has a list of columns that does not fit");
  EXPECT_EQ(forged(directory + kName, std::uint64_t{1} << 62), "has a column outside of the file");
  EXPECT_EQ(forged(directory + kName, 1), "has a column outside of the file");
  EXPECT_EQ(forged(directory + kName + 8, ~std::uint64_t{0}), "has a column outside of the file");
  EXPECT_EQ(forged(directory + kName + 8, directory - 63), "has a column outside of the file");
}

TEST_F(Store, GivesThePiecesOfAColumnInTheOrderInWhichTheyWereAdded) {
  TokenStoreWriter writer(path_, kKey);
  for (const std::int32_t number : {3, 1, 2}) writer.add("id", std::as_bytes(std::span(&number, 1)));
  writer.add("id", std::span<const std::byte>());
  writer.commit();
  const auto store = TokenStore::open(path_, kKey);
  ASSERT_TRUE(store);
  EXPECT_THAT(store->columns<std::int32_t>("id"),
              ElementsAre(ElementsAre(3), ElementsAre(1), ElementsAre(2), ElementsAre()));
  EXPECT_THAT([&] { store->column<std::int32_t>("id"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("has more than one column \"id\"")));
}

// Longer than what is checked at once.
TEST_F(Store, ChecksAllOfALargeFile) {
  write(std::vector<std::int32_t>(9'000'000, 5));
  const auto store = TokenStore::open(path_, kKey);
  ASSERT_TRUE(store);
  EXPECT_THAT(store->column<std::int32_t>("id"), testing::Each(5));
  std::string changed = read_file(path_);
  changed[30'000'000] ^= 1;
  folder_.write("store", changed);
  EXPECT_EQ(refusal(), "has changed since it was written");
}

// The columns stand where the file is mapped, not in memory of their own.
TEST_F(Store, StaysWhereItIsWhenItIsMoved) {
  write({1, 2, 3});
  auto store = TokenStore::open(path_, kKey);
  ASSERT_TRUE(store);
  const auto* const before = store->column<std::int32_t>("id").data();
  const TokenStore moved = *std::move(store);
  EXPECT_EQ(moved.column<std::int32_t>("id").data(), before);
}

TEST_F(Store, IsNotThereUntilAllOfItIs) {
  {
    TokenStoreWriter writer(path_, kKey);
    writer.add("id", std::span<const std::byte>());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
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

}  // namespace token_store_test
}  // namespace equipoise
