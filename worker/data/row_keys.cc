#include "worker/data/row_keys.h"

#include <bit>

#include "common/base/mixed_bits.h"

namespace equipoise {
namespace {

// The length ends a list, so that no two pairs of lists run into each other.
std::uint64_t hashed(std::uint64_t start, std::span<const std::int32_t> ids) {
  for (const std::int32_t id : ids) start = mixed_bits(start, static_cast<std::uint32_t>(id));
  return mixed_bits(~start, ids.size());
}

}  // namespace

RowKeys::RowKeys(const DropoutDraw& draw)
    : start_(mixed_bits(mixed_bits(draw.seed, 0), static_cast<std::uint64_t>(draw.step))) {}

void RowKeys::add_prompt(std::span<const std::int32_t> prompt_ids) {
  add(hashed(start_, prompt_ids), prompt_ids.size());
}

void RowKeys::add_answer(std::span<const std::int32_t> prompt_ids, std::span<const std::int32_t> answer_ids) {
  add(hashed(hashed(start_, prompt_ids), answer_ids), answer_ids.size());
}

void RowKeys::add(std::uint64_t text, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) values_.push_back(std::bit_cast<std::int64_t>(mixed_bits(text, i)));
}

}  // namespace equipoise
