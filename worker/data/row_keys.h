// Keys of the rows of a packed batch, from which their dropout masks are made: equal rows get equal masks wherever they
// are computed, whatever shares a batch, a rank or a prompt with them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace equipoise {

// Masks of one training step.
struct DropoutDraw {
  std::uint64_t seed = 0;
  std::int64_t step = 0;
};

// A key is a hash of the draw, of all ids of the text that the row belongs to (the prompt; or prompt and answer) and of
// the row's place in it.
class RowKeys {
 public:
  explicit RowKeys(const DropoutDraw& draw);

  // Of all rows of a prompt, or of an answer to it, after those that are there.
  void add_prompt(std::span<const std::int32_t> prompt_ids);
  void add_answer(std::span<const std::int32_t> prompt_ids, std::span<const std::int32_t> answer_ids);

  const std::vector<std::int64_t>& values() const { return values_; }

 private:
  void add(std::uint64_t text, std::size_t count);

  std::uint64_t start_;
  std::vector<std::int64_t> values_;
};

}  // namespace equipoise
