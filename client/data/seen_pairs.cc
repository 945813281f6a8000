#include "client/data/seen_pairs.h"

#include <functional>
#include <string_view>

#include "common/base/mixed_bits.h"

namespace equipoise {
namespace {

// Never 0.
std::uint64_t key_of(const PreferencePair& pair, std::uint32_t group) {
  std::uint64_t key = mixed_bits(group, pair.form == AnswerForm::kMessages ? 1 : 0);
  for (const std::string_view text :
       {std::string_view(pair.prompt), std::string_view(pair.chosen), std::string_view(pair.rejected),
        std::string_view(pair.tools), std::string_view(pair.template_variables)}) {
    key = mixed_bits(key ^ std::hash<std::string_view>()(text), text.size());
  }
  return key == 0 ? 1 : key;
}

}  // namespace

bool SeenPairs::seen_before(const PreferencePair& pair, std::uint32_t group) {
  if (2 * (size_ + 1) > slots_.size() && !is_full()) grow();
  const std::uint64_t key = key_of(pair, group);
  std::uint64_t& slot = slots_[slot_of(key)];
  if (slot == key) return true;
  if (is_full()) return false;
  slot = key;
  ++size_;
  return false;
}

std::size_t SeenPairs::slot_of(std::uint64_t key) const {
  std::size_t place = key & (slots_.size() - 1);
  while (slots_[place] != 0 && slots_[place] != key) place = (place + 1) & (slots_.size() - 1);
  return place;
}

void SeenPairs::grow() {
  constexpr std::size_t kFirst = 1024;
  std::vector<std::uint64_t> before = std::move(slots_);
  slots_.assign(before.empty() ? kFirst : 2 * before.size(), 0);
  for (const std::uint64_t key : before) {
    if (key != 0) slots_[slot_of(key)] = key;
  }
}

}  // namespace equipoise
