#include "worker/data/stored_dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

#include "tests/support/temp_folder.h"
#include "tests/worker/support/owned_pair.h"

namespace equipoise {
namespace stored_dataset_test {

using testing::ElementsAre;
using testing::HasSubstr;

const Digest kKey{std::byte{7}};

// The columns of a store of two kept pairs and a dropped one between them, in groups "a" and "b".
struct Columns {
  std::vector<std::int32_t> ids = {1, 2, 3, 4, 5, 6};
  std::vector<std::uint32_t> id_end = {2, 3, 4, 5, 6, 6};
  std::vector<std::uint32_t> memberships_of = {0, 1};
  std::vector<double> share = {1, 0.5};
  std::vector<Membership> membership = {{0, 1.0}, {0, 0.25}, {1, 1.0}};
  std::vector<std::uint32_t> membership_end = {1, 3};
  std::vector<PairColumns::Dropped> dropped = {{.position = 1, .memberships = 1, .what = 2, .tokens = 9, .limit = 8}};
  std::vector<double> weight = {1, 2.5};
  std::vector<ReferenceLogProbs> reference = {{.chosen = -1, .rejected = -2}, {.chosen = -3, .rejected = -4}};
  std::string names = "ab";
  std::vector<std::uint32_t> name_end = {1, 2};
  std::vector<double> pair_count = {1.25, 1};
  std::vector<std::int64_t> dropped_count = {1, 1}, shortened_count = {0, 1};
  std::vector<std::int64_t> merged_count = {1, 0}, repeated_count = {0, 0}, totals = {1, 1, 0, 2, 1};
};

class Stored : public testing::Test {
 protected:
  void write(const Columns& columns) const {
    TokenStoreWriter store(path_, kKey);
    store.add("id", std::span(columns.ids));
    store.add("id_end", std::span(columns.id_end));
    store.add("memberships", std::span(columns.memberships_of));
    store.add("chosen_share", std::span(columns.share));
    store.add("membership", std::span(columns.membership));
    store.add("membership_end", std::span(columns.membership_end));
    store.add("dropped", std::span(columns.dropped));
    store.add("weight", std::span(columns.weight));
    store.add("reference", std::span(columns.reference));
    for (const char* kind : {"used", "unused"}) {
      store.add(std::string(kind) + "_name", std::as_bytes(std::span(columns.names)));
      store.add(std::string(kind) + "_name_end", std::as_bytes(std::span(columns.name_end)));
    }
    store.add("group_name", std::span(columns.names));
    store.add("group_name_end", std::span(columns.name_end));
    store.add("pair_count", std::span(columns.pair_count));
    store.add("dropped_count", std::span(columns.dropped_count));
    store.add("shortened_count", std::span(columns.shortened_count));
    store.add("merged_count", std::span(columns.merged_count));
    store.add("repeated_count", std::span(columns.repeated_count));
    store.add("totals", std::span(columns.totals));
    store.commit();
  }

  template <class Change>
  std::string refusal(Change change) const {
    Columns columns;
    change(columns);
    write(columns);
    try {
      read_dataset(path_, kKey);
    } catch (const std::invalid_argument& problem) {
      EXPECT_THAT(problem.what(), HasSubstr(path_.string()));
      return std::string(problem.what()).substr(path_.string().size() + 1);
    }
    return "accepted";
  }

  TempFolder folder_;
  std::filesystem::path path_ = folder_ / "store";
};

TEST_F(Stored, IsReadAsItWasWritten) {
  write({});
  const auto data = read_dataset(path_, kKey);
  ASSERT_TRUE(data);
  ASSERT_EQ(data->size(), 2U);
  EXPECT_THAT(data->pair(0).prompt_ids, ElementsAre(1, 2));
  EXPECT_THAT(data->pair(0).chosen_ids, ElementsAre(3));
  EXPECT_THAT(data->pair(0).rejected_ids, ElementsAre(4));
  EXPECT_THAT(data->pair(1).prompt_ids, ElementsAre(5));
  EXPECT_TRUE(data->pair(1).rejected_ids.empty());
  EXPECT_EQ(data->pair(1).memberships[0].weight, 0.25);
  EXPECT_EQ(data->pair(1).chosen_share, 0.5);
  EXPECT_EQ(data->pair(1).weight, 2.5);
  EXPECT_EQ(data->pair(1).reference, (ReferenceLogProbs{.chosen = -3, .rejected = -4}));
  EXPECT_THAT(data->fields.used, ElementsAre("a", "b"));
  EXPECT_EQ(data->fields.empty_prompts, 2);
  EXPECT_EQ(data->fields.other_roles, 1);
  EXPECT_EQ(data->pairs.dropped(0).position, 1);
  EXPECT_EQ(data->pairs.dropped(0).memberships[1].group, 1U);
  EXPECT_EQ(data->pairs.dropped(0).cause.text(), "its 9 tokens are more than max_length = 8");
  EXPECT_THAT(data->group_names, ElementsAre("a", "b"));
  EXPECT_THAT(data->pair_count_K, ElementsAre(1.25, 1));
  EXPECT_THAT(data->shortened_count_K, ElementsAre(0, 1));
  EXPECT_THAT(data->merged_prompt_count_K, ElementsAre(1, 0));
  EXPECT_THAT(data->repeated_prompt_count_K, ElementsAre(0, 0));
  EXPECT_EQ(data->num_merged_prompts, 1);
  EXPECT_EQ(data->num_shortened, 1);
}

// Address ranges of this process that are the file's.
std::vector<std::pair<std::uintptr_t, std::uintptr_t>> mappings_of(const std::filesystem::path& path) {
  std::vector<std::pair<std::uintptr_t, std::uintptr_t>> found;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (!line.ends_with(path.string())) continue;
    std::istringstream range(line);
    std::uintptr_t begin = 0, end = 0;
    char dash = 0;
    range >> std::hex >> begin >> dash >> end;
    found.emplace_back(begin, end);
  }
  return found;
}

TEST_F(Stored, KeepsNoPairInMemoryOfItsOwn) {
  EncodedPairs first, second;
  const std::vector<std::int32_t> ids(100, 3);
  const std::vector<Membership> group = {{0, 1.0}};
  for (int i = 0; i < 40'000; ++i) first.add({.prompt_ids = ids, .chosen_ids = ids, .memberships = group});
  for (int i = 0; i < 10; ++i) second.add({.prompt_ids = ids, .rejected_ids = ids, .memberships = group});
  EncodedDataset counts;
  counts.group_names = {"a"};
  counts.pair_count_K = {40'010};
  counts.dropped_count_K = counts.shortened_count_K = {0};
  StoredDatasetWriter writer(path_, kKey);
  writer.add(first);
  writer.add(second);
  writer.commit(counts);
  const auto data = read_dataset(path_, kKey);
  ASSERT_TRUE(data);
  ASSERT_EQ(data->size(), 40'010U);
  const auto mappings = mappings_of(path_);
  ASSERT_EQ(mappings.size(), 1U);
  const auto is_mapped = [&](const void* address) {
    const auto place = reinterpret_cast<std::uintptr_t>(address);
    return place >= mappings[0].first && place < mappings[0].second;
  };
  for (const EncodedPair pair : data->pairs) {
    ASSERT_TRUE(is_mapped(pair.prompt_ids.data()) && is_mapped(pair.memberships.data()));
    ASSERT_EQ(pair.num_tokens(), 200U);
  }
}

TEST_F(Stored, IsUnmappedWithTheData) {
  write({});
  {
    auto data = read_dataset(path_, kKey);
    EncodedDataset whole;
    whole.append(*std::move(data));
    EXPECT_EQ(mappings_of(path_).size(), 1U);
    EXPECT_THAT(whole.pair(0).prompt_ids, ElementsAre(1, 2));
  }
  EXPECT_EQ(mappings_of(path_).size(), 0U);
}

TEST_F(Stored, RefusesTokenIdsThatDoNotFit) {
  EXPECT_EQ(refusal([](Columns&) {}), "accepted");
  EXPECT_EQ(refusal([](Columns& c) { c.id_end[1] = 1; }), "has token ids of no pair");
  EXPECT_EQ(refusal([](Columns& c) { c.id_end.back() = 5; }), "has token ids of no pair");
  EXPECT_EQ(refusal([](Columns& c) { c.id_end.back() = 7; }), "has token ids of no pair");
  EXPECT_EQ(refusal([](Columns& c) { c.id_end.pop_back(); }), "has columns of other pairs");
  EXPECT_EQ(refusal([](Columns& c) { c.ids[2] = -1; }), "has a negative token id");
  EXPECT_EQ(refusal([](Columns& c) {
              c = {};
              c.ids = {};
              c.id_end = c.memberships_of = {};
              c.share = c.weight = {};
              c.reference = {};
              c.dropped = {};
            }),
            "has no pairs");
}

TEST_F(Stored, RefusesMembershipsThatNoPairCanHave) {
  EXPECT_EQ(refusal([](Columns& c) { c.memberships_of[1] = 2; }), "has a pair without memberships");
  EXPECT_EQ(refusal([](Columns& c) {
              c.membership = {{0, 1.0}};
              c.membership_end = {0, 1};
            }),
            "has memberships that no pair can have");
  EXPECT_EQ(refusal([](Columns& c) { c.membership_end = {1, 4}; }), "has memberships of no pair");
  EXPECT_EQ(refusal([](Columns& c) { c.membership[2].group = 2; }), "has memberships that no pair can have");
  EXPECT_EQ(refusal([](Columns& c) { c.membership[2].group = 0; }), "has memberships that no pair can have");
  EXPECT_EQ(refusal([](Columns& c) { c.membership[0].weight = 0; }), "has memberships that no pair can have");
  EXPECT_EQ(refusal([](Columns& c) { c.membership[0].weight = 1e-7; }), "has memberships that no pair can have");
  EXPECT_EQ(refusal([](Columns& c) { c.membership[0].weight = std::numeric_limits<double>::quiet_NaN(); }),
            "has memberships that no pair can have");
  EXPECT_EQ(refusal([](Columns& c) { c.share[0] = 1.5; }), "has a share outside of (0, 1]");
  EXPECT_EQ(refusal([](Columns& c) { c.share.push_back(1); }), "has columns of other pairs");
}

TEST_F(Stored, RefusesDroppedPairsThatCannotBe) {
  const std::string message = "has a pair left out that cannot be";
  EXPECT_EQ(refusal([](Columns& c) { c.dropped[0].position = 3; }), message);
  EXPECT_EQ(refusal([](Columns& c) { c.dropped[0].memberships = 2; }), message);
  EXPECT_EQ(refusal([](Columns& c) { c.dropped[0].what = 3; }), message);
  EXPECT_EQ(refusal([](Columns& c) { c.dropped.push_back(c.dropped[0]); }), message);
}

TEST_F(Stored, RefusesGroupsWithoutNamesOrCounts) {
  EXPECT_EQ(refusal([](Columns& c) { c.name_end = {1, 3}; }), "has names of no group");
  EXPECT_EQ(refusal([](Columns& c) { c.name_end = {2, 1}; }), "has names of no group");
  EXPECT_EQ(refusal([](Columns& c) { c.pair_count.pop_back(); }), "has no right \"pair_count\"");
  EXPECT_EQ(refusal([](Columns& c) { c.pair_count[0] = -1; }), "has no right \"pair_count\"");
  EXPECT_EQ(refusal([](Columns& c) { c.dropped_count[0] = -1; }), "has no right \"dropped_count\"");
  EXPECT_EQ(refusal([](Columns& c) { c.shortened_count.push_back(0); }), "has no right \"shortened_count\"");
}

TEST_F(Stored, HasWeightsAndLogProbsOfAllPairsOrOfNone) {
  Columns plain;
  plain.weight.clear();
  plain.reference.clear();
  write(plain);
  const auto data = read_dataset(path_, kKey);
  EXPECT_EQ(data->pair(1).weight, 1);
  EXPECT_FALSE(data->pair(1).reference);
  EXPECT_EQ(refusal([](Columns& c) { c.weight.pop_back(); }), "has weights that no pair can have");
  EXPECT_EQ(refusal([](Columns& c) { c.weight[1] = 0; }), "has weights that no pair can have");
  EXPECT_EQ(refusal([](Columns& c) { c.reference.pop_back(); }), "has log-probabilities that no pair can have");
  EXPECT_EQ(refusal([](Columns& c) { c.reference[0].chosen = -HUGE_VAL; }),
            "has log-probabilities that no pair can have");
}

TEST_F(Stored, RefusesPiecesThatDoNotBelongTogether) {
  TokenStoreWriter store(path_, kKey);
  const std::uint32_t zero = 0;
  const std::array<std::int64_t, 5> totals = {};
  for (const char* name : {"id", "id", "id_end", "memberships", "chosen_share", "membership", "membership_end",
                           "dropped", "weight", "reference", "group_name", "used_name", "unused_name", "pair_count",
                           "dropped_count", "shortened_count", "merged_count", "repeated_count"}) {
    store.add(name, std::span<const std::byte>());
  }
  for (const char* name : {"group_name_end", "used_name_end", "unused_name_end"}) {
    store.add(name, std::as_bytes(std::span(&zero, 0)));
  }
  store.add("totals", std::as_bytes(std::span(totals)));
  store.commit();
  EXPECT_THAT([&] { read_dataset(path_, kKey); },
              testing::ThrowsMessage<std::invalid_argument>(HasSubstr("has pieces of other columns")));
}

}  // namespace stored_dataset_test
}  // namespace equipoise
