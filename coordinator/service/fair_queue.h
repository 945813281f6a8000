// What waits for a thread, by who asked for it: callers take turns, so one who asks for much waits for himself.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>

namespace equipoise::coordinator {

// Not thread-safe.
template <typename Work>
class FairQueue {
 public:
  bool is_empty() const { return turns_.empty(); }
  std::size_t size() const { return size_; }
  std::size_t size_of(const std::string& caller) const {
    const auto found = by_caller_.find(caller);
    return found == by_caller_.end() ? 0 : found->second.size();
  }

  // Behind what else `caller` waits for.
  void push(const std::string& caller, Work work) {
    std::deque<Work>& own = by_caller_[caller];
    if (own.empty()) turns_.push_back(caller);
    own.push_back(std::move(work));
    ++size_;
  }
  // The oldest of the caller whose turn it is. There is one.
  Work pop() {
    std::string caller = std::move(turns_.front());
    turns_.pop_front();
    const auto found = by_caller_.find(caller);
    Work work = std::move(found->second.front());
    found->second.pop_front();
    --size_;
    if (found->second.empty()) {
      by_caller_.erase(found);
    } else {
      turns_.push_back(std::move(caller));
    }
    return work;
  }

 private:
  std::unordered_map<std::string, std::deque<Work>> by_caller_;  // none is empty
  std::deque<std::string> turns_;                                // each caller of by_caller_ once
  std::size_t size_ = 0;
};

}  // namespace equipoise::coordinator
