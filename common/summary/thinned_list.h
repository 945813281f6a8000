// Values at even distances of a series whose length is not known beforehand, always with the first and the last.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace equipoise {

// At most `most` values, and of the kept ones at most `most_bytes` together, but for the last two.
template <typename Value>
class ThinnedList {
 public:
  ThinnedList(std::size_t most, std::size_t most_bytes) : most_(most), most_bytes_(most_bytes) {}

  // Whether the next value stays for now. One that does not may be passed by without being made.
  bool keeps_next() const { return seen_ % spacing_ == 0; }
  void pass() {
    ++seen_;
    last_.reset();
  }
  // The newest value, where it was passed by.
  void set_last(Value value) { last_ = std::move(value); }

  void add(Value value, std::size_t bytes) {
    const std::size_t place = seen_++;
    last_.reset();
    if (place % spacing_ != 0) {
      last_ = std::move(value);
      return;
    }
    kept_.push_back({std::move(value), bytes});
    bytes_ += bytes;
    while (kept_.size() > 2 && (kept_.size() > most_ || bytes_ > most_bytes_)) thin();
  }

  std::vector<Value> take() {
    std::vector<Value> values;
    for (Kept& one : kept_) values.push_back(std::move(one.value));
    if (last_) values.push_back(std::move(*last_));
    return values;
  }

 private:
  struct Kept {
    Value value;
    std::size_t bytes;
  };

  // Every other one stays. One that goes may be the newest.
  void thin() {
    std::vector<Kept> kept;
    bytes_ = 0;
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      if (i % 2 != 0) {
        if (i + 1 == kept_.size()) last_ = std::move(kept_[i].value);
        continue;
      }
      bytes_ += kept_[i].bytes;
      kept.push_back(std::move(kept_[i]));
    }
    kept_ = std::move(kept);
    spacing_ *= 2;
  }

  const std::size_t most_, most_bytes_;
  std::vector<Kept> kept_;
  std::optional<Value> last_;  // the newest, where it is not kept
  std::size_t seen_ = 0, spacing_ = 1, bytes_ = 0;
};

}  // namespace equipoise
