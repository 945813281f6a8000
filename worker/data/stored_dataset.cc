#include "worker/data/stored_dataset.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace equipoise {
namespace {

bool are_ends(std::span<const std::uint32_t> ends, std::size_t size) {
  return std::ranges::is_sorted(ends) && (ends.empty() ? 0 : ends.back()) == size;
}

bool is_share(double value) { return value > 0 && value <= 1; }

bool is_membership(double value) { return value >= kSmallestMembership && value <= 1; }

// Groups ascend, and each list has one at least.
bool are_memberships(const PairColumns& columns, std::size_t num_groups) {
  std::size_t begin = 0;
  for (const std::size_t end : columns.memberships_end) {
    if (begin == end) return false;
    for (std::size_t i = begin; i < end; ++i) {
      const Membership& membership = columns.memberships[i];
      const bool ascends = i == begin || columns.memberships[i - 1].group < membership.group;
      if (!ascends || membership.group >= num_groups || !is_membership(membership.weight)) return false;
    }
    begin = end;
  }
  return true;
}

// That reading them stays inside of the columns, and gives what a data file can hold.
void check(const PairColumns& columns, std::size_t num_groups, const TokenStore& store) {
  const std::size_t N = columns.size(), lists = columns.memberships_end.size();
  const bool is_of_pairs = columns.id_end_3N.size() == 3 * N && columns.chosen_share_N.size() == N;
  if (!is_of_pairs) store.refuse("has columns of other pairs");
  if (!are_ends(columns.id_end_3N, columns.ids.size())) store.refuse("has token ids of no pair");
  if (!are_ends(columns.memberships_end, columns.memberships.size())) store.refuse("has memberships of no pair");
  if (!are_memberships(columns, num_groups)) store.refuse("has memberships that no pair can have");
  const auto is_weight = [](double weight) { return weight > 0 && std::isfinite(weight); };
  const auto is_log_prob = [](const ReferenceLogProbs& log_probs) {
    return std::isfinite(log_probs.chosen) && std::isfinite(log_probs.rejected);
  };
  const auto is_all_or_none = [&](std::size_t size) { return size == 0 || size == N; };
  if (!is_all_or_none(columns.weight_N.size()) || !std::ranges::all_of(columns.weight_N, is_weight)) {
    store.refuse("has weights that no pair can have");
  }
  if (!is_all_or_none(columns.reference_N.size()) || !std::ranges::all_of(columns.reference_N, is_log_prob)) {
    store.refuse("has log-probabilities that no pair can have");
  }
  const auto is_list = [&](std::uint32_t list) { return list < lists; };
  const auto is_id = [](std::int32_t id) { return id >= 0; };
  if (!std::ranges::all_of(columns.memberships_N, is_list)) store.refuse("has a pair without memberships");
  if (!std::ranges::all_of(columns.chosen_share_N, is_share)) store.refuse("has a share outside of (0, 1]");
  if (!std::ranges::all_of(columns.ids, is_id)) store.refuse("has a negative token id");
  std::size_t next = 0;
  for (const PairColumns::Dropped& dropped : columns.dropped) {
    const bool is_right = dropped.position >= next && dropped.position < N + columns.dropped.size() &&
                          is_list(dropped.memberships) && dropped.what <= DropCause::kLast;
    if (!is_right) store.refuse("has a pair left out that cannot be");
    next = std::size_t{dropped.position} + 1;
  }
}

template <class Value>
std::span<const Value> nth(const std::vector<std::span<const Value>>& pieces, std::size_t i, const TokenStore& store) {
  if (i >= pieces.size()) store.refuse("has pieces of other columns");
  return pieces[i];
}

EncodedPairs read_pairs(TokenStore store, std::size_t num_groups) {
  const auto ids = store.columns<std::int32_t>("id");
  const auto id_end = store.columns<std::uint32_t>("id_end"), list = store.columns<std::uint32_t>("memberships");
  const auto list_end = store.columns<std::uint32_t>("membership_end");
  const auto share = store.columns<double>("chosen_share");
  const auto membership = store.columns<Membership>("membership");
  const auto dropped = store.columns<PairColumns::Dropped>("dropped");
  const auto weight = store.columns<double>("weight");
  const auto reference = store.columns<ReferenceLogProbs>("reference");
  EncodedPairs pairs;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const PairColumns columns{.ids = ids[i],
                              .id_end_3N = nth(id_end, i, store),
                              .memberships_N = nth(list, i, store),
                              .chosen_share_N = nth(share, i, store),
                              .memberships = nth(membership, i, store),
                              .memberships_end = nth(list_end, i, store),
                              .dropped = nth(dropped, i, store),
                              .weight_N = nth(weight, i, store),
                              .reference_N = nth(reference, i, store)};
    check(columns, num_groups, store);
    store.let_go(std::as_bytes(columns.ids));
    pairs.append(columns);
  }
  if (pairs.empty()) store.refuse("has no pairs");
  pairs.keep(std::move(store));
  return pairs;
}

std::vector<std::string> read_names(const TokenStore& store, const std::string& what) {
  const auto text = store.column<char>(what + "_name");
  const auto ends = store.column<std::uint32_t>(what + "_name_end");
  if (!are_ends(ends, text.size())) store.refuse("has names of no " + what);
  std::vector<std::string> names;
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    names.emplace_back(text.begin() + static_cast<std::ptrdiff_t>(begin),
                       text.begin() + static_cast<std::ptrdiff_t>(end));
    begin = end;
  }
  return names;
}

template <class Number>
std::vector<Number> read_counts(const TokenStore& store, const std::string& name, std::size_t size) {
  const auto counts = store.column<Number>(name);
  const auto is_count = [](Number count) { return count >= 0 && std::isfinite(static_cast<double>(count)); };
  if (counts.size() != size || !std::ranges::all_of(counts, is_count)) store.refuse("has no right \"" + name + "\"");
  return {counts.begin(), counts.end()};
}

}  // namespace

void StoredDatasetWriter::add(const EncodedPairs& pairs) {
  for (const PairColumns& columns : pairs.columns()) {
    store_.add("id", columns.ids);
    store_.add("id_end", columns.id_end_3N);
    store_.add("memberships", columns.memberships_N);
    store_.add("chosen_share", columns.chosen_share_N);
    store_.add("membership", columns.memberships);
    store_.add("membership_end", columns.memberships_end);
    store_.add("dropped", columns.dropped);
    store_.add("weight", columns.weight_N);
    store_.add("reference", columns.reference_N);
  }
}

void StoredDatasetWriter::add_names(const std::string& what, const std::vector<std::string>& names) {
  std::string text;
  std::vector<std::uint32_t> ends;
  for (const std::string& name : names) {
    text += name;
    ends.push_back(static_cast<std::uint32_t>(text.size()));
  }
  store_.add(what + "_name", std::as_bytes(std::span(text)));
  store_.add(what + "_name_end", std::as_bytes(std::span(ends)));
}

void StoredDatasetWriter::commit(const EncodedDataset& dataset) {
  add_names("group", dataset.group_names);
  add_names("used", dataset.fields.used);
  add_names("unused", dataset.fields.unused);
  store_.add("pair_count", std::as_bytes(std::span(dataset.pair_count_K)));
  store_.add("dropped_count", std::as_bytes(std::span(dataset.dropped_count_K)));
  store_.add("shortened_count", std::as_bytes(std::span(dataset.shortened_count_K)));
  auto merged_K = dataset.merged_prompt_count_K, repeated_K = dataset.repeated_prompt_count_K;
  merged_K.resize(dataset.group_names.size());
  repeated_K.resize(dataset.group_names.size());
  store_.add("merged_count", std::as_bytes(std::span(merged_K)));
  store_.add("repeated_count", std::as_bytes(std::span(repeated_K)));
  const std::array totals = {dataset.num_shortened, dataset.num_merged_prompts, dataset.num_repeated_prompts,
                             dataset.fields.empty_prompts, dataset.fields.other_roles};
  store_.add("totals", std::as_bytes(std::span(totals)));
  store_.commit();
}

std::optional<EncodedDataset> read_dataset(const std::filesystem::path& path, const Digest& key) {
  auto store = TokenStore::open(path, key);
  if (!store) return std::nullopt;
  EncodedDataset dataset;
  dataset.group_names = read_names(*store, "group");
  dataset.fields = {.used = read_names(*store, "used"), .unused = read_names(*store, "unused")};
  const std::size_t K = dataset.group_names.size();
  dataset.pair_count_K = read_counts<double>(*store, "pair_count", K);
  dataset.dropped_count_K = read_counts<std::int64_t>(*store, "dropped_count", K);
  dataset.shortened_count_K = read_counts<std::int64_t>(*store, "shortened_count", K);
  dataset.merged_prompt_count_K = read_counts<std::int64_t>(*store, "merged_count", K);
  dataset.repeated_prompt_count_K = read_counts<std::int64_t>(*store, "repeated_count", K);
  const auto totals = read_counts<std::int64_t>(*store, "totals", 5);
  dataset.num_shortened = totals[0];
  dataset.num_merged_prompts = totals[1];
  dataset.num_repeated_prompts = totals[2];
  dataset.fields.empty_prompts = totals[3];
  dataset.fields.other_roles = totals[4];
  dataset.pairs = read_pairs(*std::move(store), K);
  return dataset;
}

}  // namespace equipoise
