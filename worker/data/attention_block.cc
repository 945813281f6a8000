#include "worker/data/attention_block.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace equipoise {

void RowUsesBuilder::use(std::int64_t first_row, std::int64_t count) {
  place_.resize(place_.size() + static_cast<std::size_t>(count));
  std::iota(place_.end() - count, place_.end(), num_places());
  row_.resize(row_.size() + static_cast<std::size_t>(count));
  std::iota(row_.end() - count, row_.end(), first_row);
}

void RowUsesBuilder::pad(std::int64_t row, std::int64_t count) {
  row_.insert(row_.end(), static_cast<std::size_t>(count), row);
}

RowUses RowUsesBuilder::build(std::int64_t num_rows) const {
  const auto tensor = [](const std::vector<std::int64_t>& values) { return torch::tensor(values, torch::kInt64); };
  RowUses uses{.row_N = {}, .num_rows = num_rows, .rounds = {}};
  std::vector<std::int64_t> own_place(static_cast<std::size_t>(num_rows));
  std::iota(own_place.begin(), own_place.end(), std::int64_t{0});
  if (row_ == own_place && place_ == own_place) return uses;

  std::vector<std::vector<std::int64_t>> places_of_row(static_cast<std::size_t>(num_rows));
  for (const std::int64_t place : place_) {
    places_of_row[static_cast<std::size_t>(row_[static_cast<std::size_t>(place)])].push_back(place);
  }
  std::size_t num_rounds = 1;
  for (const auto& places : places_of_row) num_rounds = std::max(num_rounds, places.size());
  std::vector<std::vector<std::int64_t>> rows(num_rounds), places(num_rounds);
  for (std::size_t row = 0; row < places_of_row.size(); ++row) {
    for (std::size_t round = 0; round < places_of_row[row].size(); ++round) {
      rows[round].push_back(static_cast<std::int64_t>(row));
      places[round].push_back(places_of_row[row][round]);
    }
  }
  uses.row_N = tensor(row_);
  for (std::size_t round = 0; round < num_rounds; ++round) {
    uses.rounds.push_back({.row_R = tensor(rows[round]), .place_R = tensor(places[round])});
  }
  return uses;
}

namespace {

class LayoutBuilder {
 public:
  void add(std::span<const PromptRows> block) {
    const std::int64_t longest = block.front().length;
    layout_.prompts.push_back({.num_prompts = static_cast<std::int64_t>(block.size()), .longest = longest});
    for (const PromptRows& prompt : block) {
      add_queries(prompt.first_row, prompt.length, longest);
      keys_.use(prompt.first_row, prompt.length);
      keys_.pad(prompt.first_row, longest - prompt.length);
    }
  }

  void add(std::span<const AnswerBundle> block) {
    AnswerBlock answers;
    answers.num_bundles = static_cast<std::int64_t>(block.size());
    for (const AnswerBundle& bundle : block) {
      answers.num_queries = std::max(answers.num_queries, bundle.num_queries());
      answers.num_keys = std::max(answers.num_keys, bundle.num_keys());
    }
    Columns queries, keys;
    for (const AnswerBundle& bundle : block) {
      add_queries(bundle.first_row, bundle.num_queries(), answers.num_queries);
      keys_.use(bundle.prompt.first_row, bundle.prompt.length);
      keys_.use(bundle.first_row, bundle.num_queries());
      keys_.pad(bundle.first_row, answers.num_keys - bundle.num_keys());

      queries.add_answers(bundle);
      queries.pad_to(answers.num_queries, {.answer = 0, .position = bundle.prompt.length});
      keys.add(kPromptKey, 0, bundle.prompt.length);
      keys.add_answers(bundle);
      keys.pad_to(answers.num_keys, {.answer = kPaddingKey, .position = 0});
    }
    const std::int64_t D = answers.num_bundles;
    answers.query_answer_DQ = tensor(queries.answer, D);
    answers.query_position_DQ = tensor(queries.position, D);
    answers.key_answer_DK = tensor(keys.answer, D);
    answers.key_position_DK = tensor(keys.position, D);
    layout_.answers.push_back(std::move(answers));
  }

  AttentionLayout take() && {
    layout_.queries = queries_.build(num_rows_);
    layout_.keys = keys_.build(num_rows_);
    layout_.outputs = outputs_.build(queries_.num_places());
    return std::move(layout_);
  }

 private:
  struct Slot {
    std::int64_t answer, position;
  };
  // Answer and position of each slot of [D, n].
  struct Columns {
    std::vector<std::int64_t> answer, position;

    void add(std::int64_t of_answer, std::int64_t first_position, std::int64_t count) {
      answer.insert(answer.end(), static_cast<std::size_t>(count), of_answer);
      position.resize(answer.size());
      std::iota(position.end() - count, position.end(), first_position);
    }
    void add_answers(const AnswerBundle& bundle) {
      for (std::size_t a = 0; a < bundle.lengths.size(); ++a) {
        add(static_cast<std::int64_t>(a), bundle.prompt.length, bundle.lengths[a]);
      }
    }
    // To the end of a row of `width` slots.
    void pad_to(std::int64_t width, Slot padding) {
      const std::size_t row = static_cast<std::size_t>(width);
      const std::size_t size = (answer.size() + row - 1) / row * row;
      answer.resize(size, padding.answer);
      position.resize(size, padding.position);
    }
  };

  void add_queries(std::int64_t first_row, std::int64_t count, std::int64_t padded) {
    outputs_.use(queries_.num_places(), count);
    queries_.use(first_row, count);
    queries_.pad(first_row, padded - count);
    num_rows_ += count;
  }

  static torch::Tensor tensor(const std::vector<std::int64_t>& values, std::int64_t D) {
    return torch::tensor(values, torch::kInt64).view({D, -1});
  }

  AttentionLayout layout_;
  RowUsesBuilder queries_, keys_, outputs_;
  std::int64_t num_rows_ = 0;
};

template <class Item, class SameBlock>
void add_blocks(std::span<const Item> items, const SameBlock& same_block, LayoutBuilder& builder) {
  for (auto begin = items.begin(); begin != items.end();) {
    const auto end = std::find_if(begin, items.end(), [&](const Item& item) { return !same_block(*begin, item); });
    builder.add(std::span<const Item>(begin, end));
    begin = end;
  }
}

}  // namespace

std::int64_t AnswerBundle::num_queries() const {
  return std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
}

int length_class(std::int64_t length) {
  constexpr std::int64_t kShort = 16;  // below that a kernel call costs more than the padding
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(std::max(length, kShort) - 1)));
}

AttentionLayout attention_layout(std::span<const PromptRows> prompts, std::span<const AnswerBundle> bundles) {
  LayoutBuilder builder;
  const auto is_empty = [](const PromptRows& prompt) { return prompt.length == 0; };
  const auto with_tokens =
      prompts.first(static_cast<std::size_t>(std::ranges::find_if(prompts, is_empty) - prompts.begin()));
  add_blocks(
      with_tokens,
      [](const PromptRows& a, const PromptRows& b) { return length_class(a.length) == length_class(b.length); },
      builder);
  add_blocks(
      bundles,
      [](const AnswerBundle& a, const AnswerBundle& b) {
        return length_class(a.num_queries()) == length_class(b.num_queries()) &&
               length_class(a.num_keys()) == length_class(b.num_keys());
      },
      builder);
  return std::move(builder).take();
}

}  // namespace equipoise
