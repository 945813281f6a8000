#include <algorithm>
#include <array>
#include <bit>
#include <span>

#include "common/base/sha256.h"
#include "worker/data/encoded_pair.h"

namespace equipoise {
namespace {

static_assert(std::endian::native == std::endian::little, "digests are over little-endian numbers");

// Small pieces go to the hash together.
class Digester {
 public:
  void add(std::span<const std::byte> bytes) {
    if (bytes.size() > buffer_.size() - size_) flush();
    if (bytes.size() > buffer_.size()) return sha256_.update(bytes);
    std::ranges::copy(bytes, buffer_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += bytes.size();
  }
  template <class Number>
  void add_number(Number number) {
    add(std::as_bytes(std::span(&number, 1)));
  }
  template <class List>
  void add_list(const List& list) {
    add_number(std::uint64_t{list.size()});
    add(std::as_bytes(std::span(list)));
  }
  Digest finish() {
    flush();
    return sha256_.finish();
  }

 private:
  void flush() {
    sha256_.update(std::span(buffer_).first(size_));
    size_ = 0;
  }

  Sha256 sha256_;
  std::array<std::byte, 1 << 14> buffer_{};
  std::size_t size_ = 0;
};

void add_weights(const EncodedDataset& dataset, Digester& digester) {
  for (const EncodedPair pair : dataset.pairs) {
    digester.add_number(pair.weight);
    digester.add_number(std::uint64_t{pair.reference ? 1U : 0U});
    digester.add_number(pair.reference ? pair.reference->chosen : 0);
    digester.add_number(pair.reference ? pair.reference->rejected : 0);
  }
}

}  // namespace

std::array<std::byte, 32> dataset_digest(const EncodedDataset& dataset) {
  Digester digester;
  digester.add_number(std::uint64_t{dataset.group_names.size()});
  for (const std::string& name : dataset.group_names) digester.add_list(name);
  digester.add_number(std::uint64_t{dataset.size()});
  bool is_unanimous = true, is_plain = true;
  for (const EncodedPair pair : dataset.pairs) {
    for (const auto ids : {pair.prompt_ids, pair.chosen_ids, pair.rejected_ids}) digester.add_list(ids);
    digester.add_number(std::uint64_t{pair.memberships.size()});
    for (const auto& [group, weight] : pair.memberships) {
      digester.add_number(group);
      digester.add_number(weight);
    }
    is_unanimous = is_unanimous && pair.chosen_share == 1;
    is_plain = is_plain && pair.weight == 1 && !pair.reference;
  }
  if (!is_unanimous) {
    for (const EncodedPair pair : dataset.pairs) digester.add_number(pair.chosen_share);
  }
  if (!is_plain) add_weights(dataset, digester);
  return digester.finish();
}

}  // namespace equipoise
