#include "worker/data/pair_truncation.h"

#include <algorithm>

#include "common/config/job_config.h"

namespace equipoise {
namespace {

using Ids = std::vector<std::int32_t>;

class Cutter {
 public:
  explicit Cutter(PairIds& ids) : ids_(ids) {}

  void cut_prompt(std::size_t length, Truncation truncation) {
    if (ids_.prompt.size() <= length) return;
    const auto lost = static_cast<std::ptrdiff_t>(ids_.prompt.size() - length);
    if (truncation == Truncation::kKeepEnd) ids_.prompt.erase(ids_.prompt.begin(), ids_.prompt.begin() + lost);
    ids_.prompt.resize(length);
    result_.shortened = true;
  }

  void cut_answers(std::size_t length) {
    cut_end(ids_.chosen, length);
    if (ids_.rejected) cut_end(*ids_.rejected, length);
  }

  void drop(DropCause::What what, std::size_t tokens, int limit) {
    result_.dropped = {
        .what = what, .tokens = static_cast<std::uint32_t>(tokens), .limit = static_cast<std::uint32_t>(limit)};
  }
  const Truncated& result() const { return result_; }

 private:
  void cut_end(Ids& answer, std::size_t length) {
    if (answer.size() <= length) return;
    answer.resize(length);
    result_.shortened = true;
  }

  PairIds& ids_;
  Truncated result_;
};

void drop_long(const EncodeSettings& settings, const PairIds& ids, Cutter& cutter) {
  const std::size_t total = ids.prompt.size() + ids.longest_answer();
  const bool own_limit = settings.tokenization == Tokenization::kTrl && settings.max_prompt_length;
  if (own_limit && ids.prompt.size() > static_cast<std::size_t>(*settings.max_prompt_length)) {
    cutter.drop(DropCause::What::kLongPrompt, ids.prompt.size(), *settings.max_prompt_length);
  } else if (total > static_cast<std::size_t>(settings.max_length)) {
    cutter.drop(DropCause::What::kLongPair, total, settings.max_length);
  }
}

void cut_as_authors(const EncodeSettings& settings, const PairIds& ids, Cutter& cutter) {
  const auto longest = static_cast<std::size_t>(settings.max_length);
  const auto prompt = static_cast<std::size_t>(settings.max_prompt_length.value_or(settings.max_length / 2));
  const auto too_long = [&] { return ids.prompt.size() + ids.longest_answer() > longest; };
  if (too_long()) cutter.cut_prompt(prompt, settings.truncation);
  if (too_long()) cutter.cut_answers(longest - prompt);
}

void cut_as_trl(const EncodeSettings& settings, const PairIds& ids, Cutter& cutter) {
  const auto longest = static_cast<std::size_t>(settings.max_length);
  if (settings.max_prompt_length) {
    cutter.cut_prompt(static_cast<std::size_t>(*settings.max_prompt_length), settings.truncation);
  }
  if (settings.truncation == Truncation::kKeepEnd) {
    // One token at least: without any, nothing predicts an answer's first one.
    cutter.cut_prompt(longest - std::min(ids.longest_answer(), longest - 1), settings.truncation);
  } else if (ids.prompt.size() >= longest) {
    cutter.drop(DropCause::What::kNoRoom, ids.prompt.size(), settings.max_length);
    return;
  }
  cutter.cut_answers(longest - ids.prompt.size());
}

}  // namespace

std::size_t PairIds::longest_answer() const {
  return rejected ? std::max(chosen.size(), rejected->size()) : chosen.size();
}

Truncated truncate_pair(const EncodeSettings& settings, PairIds& ids) {
  Cutter cutter(ids);
  if (settings.truncation == Truncation::kDrop) {
    drop_long(settings, ids, cutter);
  } else if (settings.tokenization == Tokenization::kAuthors) {
    cut_as_authors(settings, ids, cutter);
  } else {
    cut_as_trl(settings, ids, cutter);
  }
  return cutter.result();
}

}  // namespace equipoise
