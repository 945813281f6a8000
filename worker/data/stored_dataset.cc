#include "worker/data/stored_dataset.h"

#include "common/dataset/token_store.h"

namespace equipoise {
namespace {

// Lists of different lengths as one list of all their values and the end of each in it.
template <class Value>
class ListWriter {
 public:
  template <class List>
  void add(const List& list) {
    values_.insert(values_.end(), list.begin(), list.end());
    ends_.push_back(values_.size());
  }
  void add_columns(const std::string& name, std::vector<TokenStore::Column>& columns) const {
    columns.push_back({.name = name, .bytes = std::as_bytes(std::span(values_))});
    columns.push_back({.name = name + "_end", .bytes = std::as_bytes(std::span(ends_))});
  }

 private:
  std::vector<Value> values_;
  std::vector<std::uint64_t> ends_;
};

template <class Value>
class ListReader {
 public:
  ListReader(const TokenStore& store, const std::string& name)
      : values_(store.column<Value>(name)), ends_(store.column<std::uint64_t>(name + "_end")) {
    std::uint64_t last = 0;
    for (const std::uint64_t end : ends_) {
      if (end < last || end > values_.size()) store.refuse("has lists that do not fit in column \"" + name + "\"");
      last = end;
    }
  }
  std::size_t size() const { return ends_.size(); }
  std::span<const Value> operator[](std::size_t i) const {
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return values_.subspan(begin, ends_[i] - begin);
  }

 private:
  std::span<const Value> values_;
  std::span<const std::uint64_t> ends_;
};

class MembershipWriter {
 public:
  void add(const std::vector<Membership>& memberships) {
    std::vector<std::uint32_t> group;
    std::vector<double> weight;
    for (const Membership& membership : memberships) {
      group.push_back(membership.group);
      weight.push_back(membership.weight);
    }
    group_.add(group);
    weight_.add(weight);
  }
  void add_columns(const std::string& name, std::vector<TokenStore::Column>& columns) const {
    group_.add_columns(name + "_group", columns);
    weight_.add_columns(name + "_weight", columns);
  }

 private:
  ListWriter<std::uint32_t> group_;
  ListWriter<double> weight_;
};

class MembershipReader {
 public:
  MembershipReader(const TokenStore& store, const std::string& name, std::size_t num_groups)
      : store_(store), group_(store, name + "_group"), weight_(store, name + "_weight"), num_groups_(num_groups) {}

  void check_size(std::size_t size) const {
    if (group_.size() != size || weight_.size() != size) store_.refuse("has memberships of other pairs");
  }
  std::vector<Membership> operator[](std::size_t i) const {
    const auto group = group_[i];
    const auto weight = weight_[i];
    if (group.empty() || group.size() != weight.size()) store_.refuse("has a pair without memberships");
    std::vector<Membership> memberships(group.size());
    for (std::size_t k = 0; k < group.size(); ++k) {
      if (group[k] >= num_groups_) store_.refuse("has a pair of an unknown group");
      memberships[k] = {.group = group[k], .weight = weight[k]};
    }
    return memberships;
  }

 private:
  const TokenStore& store_;
  ListReader<std::uint32_t> group_;
  ListReader<double> weight_;
  std::size_t num_groups_;
};

template <class Number>
std::vector<Number> numbers(const TokenStore& store, const std::string& name, std::size_t size) {
  const auto column = store.column<Number>(name);
  if (column.size() != size) store.refuse("has a column \"" + name + "\" of another length");
  return {column.begin(), column.end()};
}

template <class Number>
TokenStore::Column column_of(const std::string& name, const std::vector<Number>& values) {
  return {.name = name, .bytes = std::as_bytes(std::span(values))};
}

void read_groups(const TokenStore& store, EncodedDataset& dataset) {
  const ListReader<char> names(store, "group_name");
  for (std::size_t g = 0; g < names.size(); ++g) dataset.group_names.emplace_back(names[g].begin(), names[g].end());
  dataset.pair_count_K = numbers<double>(store, "pair_count", names.size());
  dataset.dropped_count_K = numbers<std::int64_t>(store, "dropped_count", names.size());
  dataset.shortened_count_K = numbers<std::int64_t>(store, "shortened_count", names.size());
}

std::vector<std::int32_t> copy(std::span<const std::int32_t> ids) { return {ids.begin(), ids.end()}; }

void read_pairs(const TokenStore& store, EncodedDataset& dataset) {
  const ListReader<std::int32_t> ids(store, "id");  // prompt, chosen, rejected of each pair
  const std::size_t N = ids.size() / 3;
  const MembershipReader memberships(store, "pair", dataset.group_names.size());
  memberships.check_size(N);
  const auto share_N = numbers<double>(store, "chosen_share", N);
  dataset.pairs.reserve(N);
  for (std::size_t i = 0; i < N; ++i) {
    dataset.pairs.push_back({.prompt_ids = copy(ids[3 * i]),
                             .chosen_ids = copy(ids[3 * i + 1]),
                             .rejected_ids = copy(ids[3 * i + 2]),
                             .memberships = memberships[i],
                             .chosen_share = share_N[i]});
  }
}

void read_dropped(const TokenStore& store, EncodedDataset& dataset) {
  const ListReader<char> reasons(store, "dropped_reason");
  const auto positions = numbers<std::int64_t>(store, "dropped_position", reasons.size());
  const MembershipReader memberships(store, "dropped", dataset.group_names.size());
  memberships.check_size(reasons.size());
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    dataset.dropped.push_back({.position = positions[i],
                               .memberships = memberships[i],
                               .reason = std::string(reasons[i].begin(), reasons[i].end())});
  }
  dataset.dropped_pairs = static_cast<std::int64_t>(reasons.size());
}

}  // namespace

void write_dataset(const std::filesystem::path& path, const Digest& key, const EncodedDataset& dataset) {
  ListWriter<std::int32_t> ids;
  ListWriter<char> names, reasons;
  MembershipWriter memberships, dropped_memberships;
  std::vector<double> share_N;
  std::vector<std::int64_t> positions;
  for (const EncodedPair& pair : dataset.pairs) {
    for (const auto* list : {&pair.prompt_ids, &pair.chosen_ids, &pair.rejected_ids}) ids.add(*list);
    memberships.add(pair.memberships);
    share_N.push_back(pair.chosen_share);
  }
  for (const DroppedPair& dropped : dataset.dropped) {
    dropped_memberships.add(dropped.memberships);
    reasons.add(dropped.reason);
    positions.push_back(dropped.position);
  }
  for (const std::string& name : dataset.group_names) names.add(name);
  std::vector<TokenStore::Column> columns = {
      column_of("chosen_share", share_N), column_of("pair_count", dataset.pair_count_K),
      column_of("dropped_count", dataset.dropped_count_K), column_of("shortened_count", dataset.shortened_count_K),
      column_of("dropped_position", positions)};
  ids.add_columns("id", columns);
  names.add_columns("group_name", columns);
  reasons.add_columns("dropped_reason", columns);
  memberships.add_columns("pair", columns);
  dropped_memberships.add_columns("dropped", columns);
  TokenStore::write(path, key, columns);
}

std::optional<EncodedDataset> read_dataset(const std::filesystem::path& path, const Digest& key) {
  const auto store = TokenStore::open(path, key);
  if (!store) return std::nullopt;
  EncodedDataset dataset;
  read_groups(*store, dataset);
  read_pairs(*store, dataset);
  read_dropped(*store, dataset);
  return dataset;
}

}  // namespace equipoise
