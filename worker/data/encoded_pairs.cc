#include "worker/data/encoded_pairs.h"

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <utility>

#include "common/base/error.h"

namespace equipoise {
namespace {

// Of one block: few enough that none is large, and that ends in it fit into 32 bits.
constexpr std::size_t kMostPairs = 1 << 15;
constexpr std::size_t kMostIds = 1 << 22;

template <class Value>
std::span<const Value> list(std::span<const Value> values, std::span<const std::uint32_t> ends, std::size_t i) {
  const std::size_t begin = i == 0 ? 0 : ends[i - 1];
  return values.subspan(begin, ends[i] - begin);
}

std::string tokens_text(std::uint32_t count) { return std::to_string(count) + " tokens"; }

}  // namespace

std::string DropCause::text() const {
  const std::string most = std::to_string(limit);
  switch (what) {
    case What::kLongPrompt:
      return "its prompt of " + tokens_text(tokens) + " is longer than max_prompt_length = " + most;
    case What::kLongPair:
      return "its " + tokens_text(tokens) + " are more than max_length = " + most;
    case What::kNoRoom:
      break;
  }
  return "its prompt of " + tokens_text(tokens) + " leaves no room for an answer within max_length = " + most;
}

// Columns that grow.
struct EncodedPairs::Vectors {
  std::vector<std::int32_t> ids;
  std::vector<std::uint32_t> id_end_3N, memberships_N, memberships_end;
  std::vector<double> chosen_share_N, weight_N;
  std::vector<ReferenceLogProbs> reference_N;
  std::vector<Membership> memberships;
  std::vector<PairColumns::Dropped> dropped;
  std::unordered_map<std::string, std::uint32_t> number_of;  // of each membership list, by its bytes

  void add_ids(std::span<const std::int32_t> list) {
    ids.insert(ids.end(), list.begin(), list.end());
    id_end_3N.push_back(static_cast<std::uint32_t>(ids.size()));
  }

  std::uint32_t add_memberships(std::span<const Membership> list) {
    std::string bytes;  // without the gap between the two numbers
    for (const Membership& membership : list) {
      bytes.append(reinterpret_cast<const char*>(&membership.group), sizeof(membership.group));
      bytes.append(reinterpret_cast<const char*>(&membership.weight), sizeof(membership.weight));
    }
    const auto [found, is_new] = number_of.emplace(bytes, static_cast<std::uint32_t>(memberships_end.size()));
    if (is_new) {
      for (const auto& [group, weight] : list) {
        Membership& last = memberships.emplace_back(Membership());  // zeros in the gap, which may go to a file
        last.group = group;
        last.weight = weight;
      }
      memberships_end.push_back(static_cast<std::uint32_t>(memberships.size()));
    }
    return found->second;
  }

  // Of the next pair; the columns begin with the first pair that has something to say.
  void add_weight(double weight) {
    if (weight != 1 && weight_N.empty()) weight_N.resize(memberships_N.size(), 1);
    if (weight != 1 || !weight_N.empty()) weight_N.push_back(weight);
  }

  std::uint32_t num_all() const { return static_cast<std::uint32_t>(memberships_N.size() + dropped.size()); }
  bool is_full() const { return num_all() >= kMostPairs || ids.size() >= kMostIds; }

  PairColumns columns() const {
    return {.ids = ids,
            .id_end_3N = id_end_3N,
            .memberships_N = memberships_N,
            .chosen_share_N = chosen_share_N,
            .memberships = memberships,
            .memberships_end = memberships_end,
            .dropped = dropped,
            .weight_N = weight_N,
            .reference_N = reference_N};
  }
};

struct EncodedPairs::Block {
  std::size_t first = 0, first_dropped = 0;  // kept and dropped pairs of the blocks before
  PairColumns columns = {};
  std::unique_ptr<Vectors> own = {};  // where the columns lie, unless it is a store
};

EncodedPairs::EncodedPairs() = default;
EncodedPairs::EncodedPairs(EncodedPairs&& other) noexcept { *this = std::move(other); }
EncodedPairs& EncodedPairs::operator=(EncodedPairs&& other) noexcept {
  blocks_ = std::exchange(other.blocks_, {});
  stores_ = std::exchange(other.stores_, {});
  size_ = std::exchange(other.size_, 0);
  num_dropped_ = std::exchange(other.num_dropped_, 0);
  return *this;
}
EncodedPairs::~EncodedPairs() = default;

// The last one of those that begin at or before i; empty ones end where they begin.
const EncodedPairs::Block& EncodedPairs::block_of(std::size_t i, std::size_t Block::*first) const {
  return *std::prev(std::ranges::upper_bound(blocks_, i, {}, first));
}

EncodedPair EncodedPairs::operator[](std::size_t i) const { return pair_of(block_of(i, &Block::first), i); }

EncodedPair EncodedPairs::Iterator::operator*() const { return pair_of(pairs_->blocks_[block_], i_); }

EncodedPairs::Iterator& EncodedPairs::Iterator::operator++() {
  ++i_;
  find_block();
  return *this;
}

EncodedPairs::Iterator EncodedPairs::Iterator::operator++(int) {
  const Iterator before = *this;
  ++*this;
  return before;
}

void EncodedPairs::Iterator::find_block() {
  const auto& blocks = pairs_->blocks_;
  while (block_ + 1 < blocks.size() && blocks[block_ + 1].first <= i_) ++block_;
}

EncodedPair EncodedPairs::pair_of(const Block& block, std::size_t i) {
  const PairColumns& columns = block.columns;
  const std::size_t n = i - block.first;
  return {.prompt_ids = list(columns.ids, columns.id_end_3N, 3 * n),
          .chosen_ids = list(columns.ids, columns.id_end_3N, 3 * n + 1),
          .rejected_ids = list(columns.ids, columns.id_end_3N, 3 * n + 2),
          .memberships = list(columns.memberships, columns.memberships_end, columns.memberships_N[n]),
          .chosen_share = columns.chosen_share_N[n],
          .weight = columns.weight_N.empty() ? 1 : columns.weight_N[n],
          .reference = columns.reference_N.empty() ? std::nullopt : std::optional(columns.reference_N[n])};
}

DroppedPair EncodedPairs::dropped(std::size_t i) const {
  const Block& block = block_of(i, &Block::first_dropped);
  const PairColumns& columns = block.columns;
  const PairColumns::Dropped& dropped = columns.dropped[i - block.first_dropped];
  const std::size_t position = block.first + block.first_dropped + dropped.position;
  return {.position = static_cast<std::int64_t>(position),
          .memberships = list(columns.memberships, columns.memberships_end, dropped.memberships),
          .cause = {.what = DropCause::What{dropped.what}, .tokens = dropped.tokens, .limit = dropped.limit}};
}

EncodedPairs::Block& EncodedPairs::open_block() {
  const bool has_room = !blocks_.empty() && blocks_.back().own && !blocks_.back().own->is_full();
  if (has_room) return blocks_.back();
  if (!blocks_.empty() && blocks_.back().own) blocks_.back().own->number_of.clear();
  blocks_.push_back({.first = size_, .first_dropped = num_dropped_, .own = std::make_unique<Vectors>()});
  return blocks_.back();
}

void EncodedPairs::add(const EncodedPair& pair) {
  Block& block = open_block();
  block.own->add_weight(pair.weight);
  // Of one file, all pairs have them or none.
  EQUIPOISE_CHECK(pair.reference.has_value() == (block.own->reference_N.size() == block.own->memberships_N.size()) ||
                  block.own->memberships_N.empty());
  if (pair.reference) block.own->reference_N.push_back(*pair.reference);
  for (const auto ids : {pair.prompt_ids, pair.chosen_ids, pair.rejected_ids}) block.own->add_ids(ids);
  block.own->memberships_N.push_back(block.own->add_memberships(pair.memberships));
  block.own->chosen_share_N.push_back(pair.chosen_share);
  block.columns = block.own->columns();
  ++size_;
}

void EncodedPairs::add_dropped(std::span<const Membership> memberships, const DropCause& cause) {
  Block& block = open_block();
  block.own->dropped.push_back({.position = block.own->num_all(),
                                .memberships = block.own->add_memberships(memberships),
                                .what = static_cast<std::uint32_t>(cause.what),
                                .tokens = cause.tokens,
                                .limit = cause.limit});
  block.columns = block.own->columns();
  ++num_dropped_;
}

void EncodedPairs::append(const PairColumns& columns) {
  blocks_.push_back({.first = size_, .first_dropped = num_dropped_, .columns = columns});
  size_ += columns.size();
  num_dropped_ += columns.dropped.size();
}

void EncodedPairs::append(EncodedPairs more) {
  for (Block& block : more.blocks_) {
    append(block.columns);
    blocks_.back().own = std::move(block.own);
  }
  for (TokenStore& store : more.stores_) keep(std::move(store));
}

std::vector<PairColumns> EncodedPairs::columns() const {
  std::vector<PairColumns> all;
  for (const Block& block : blocks_) all.push_back(block.columns);
  return all;
}

}  // namespace equipoise
