#include "worker/collective/host_ranks.h"

#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include "common/base/error.h"

namespace equipoise {
namespace {

// All ranks of a group meet here; the last to arrive runs `combine` while the others wait.
class MeetingPoint {
 public:
  explicit MeetingPoint(int world_size) : world_size_(world_size), buffers_(static_cast<std::size_t>(world_size)) {}

  int world_size() const { return world_size_; }

  // Each rank hands in a pointer; `combine` sees all of them, in rank order.
  void meet(int rank, void* buffer, const std::function<void(const std::vector<void*>&)>& combine) {
    std::unique_lock lock(mutex_);
    throw_if_aborted();
    buffers_[static_cast<std::size_t>(rank)] = buffer;
    if (++arrived_ == world_size_) {
      combine(buffers_);
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
      return;
    }
    const long round = round_;
    changed_.wait(lock, [&] { return round_ != round || aborted_; });
    if (round_ == round) throw_if_aborted();
  }

  void abort() {
    const std::lock_guard lock(mutex_);
    aborted_ = true;
    changed_.notify_all();
  }

 private:
  void throw_if_aborted() const {
    if (aborted_) throw PeerError("another rank of this process ended");
  }

  const int world_size_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::vector<void*> buffers_;
  int arrived_ = 0;
  long round_ = 0;
  bool aborted_ = false;
};

// The sum of rank 0's, rank 1's, ... in this order, written back to every rank.
template <typename T>
void sum_in_rank_order(const std::vector<void*>& buffers, std::size_t count) {
  std::vector<T> sum(static_cast<const T*>(buffers[0]), static_cast<const T*>(buffers[0]) + count);
  for (std::size_t rank = 1; rank < buffers.size(); ++rank) {
    const T* values = static_cast<const T*>(buffers[rank]);
    for (std::size_t i = 0; i < count; ++i) sum[i] += values[i];
  }
  for (void* buffer : buffers) std::memcpy(buffer, sum.data(), count * sizeof(T));
}

class Done : public PendingSum {
 public:
  void wait() override {}
};

class ThreadRanks : public HostRanks {
 public:
  ThreadRanks(MeetingPoint& meeting_point, int rank) : meeting_point_(meeting_point), rank_(rank) {}

  RankInfo info() const override { return {.rank = rank_, .world_size = meeting_point_.world_size()}; }

  void all_reduce_sum(std::span<double> values) override { sum(values); }

  std::unique_ptr<PendingSum> start_sum(std::span<double> values) override {
    sum(values);
    return std::make_unique<Done>();
  }
  std::unique_ptr<PendingSum> start_sum(std::span<float> values) override {
    sum(values);
    return std::make_unique<Done>();
  }

  void broadcast(std::span<std::byte> bytes, int root) override {
    meeting_point_.meet(rank_, bytes.data(), [&](const auto& buffers) {
      const void* source = buffers[static_cast<std::size_t>(root)];
      for (void* buffer : buffers) std::memmove(buffer, source, bytes.size());
    });
  }

 private:
  template <typename Number>
  void sum(std::span<Number> values) {
    meeting_point_.meet(rank_, values.data(),
                        [&](const auto& buffers) { sum_in_rank_order<Number>(buffers, values.size()); });
  }

  MeetingPoint& meeting_point_;
  int rank_;
};

}  // namespace

void run_host_ranks(int world_size, const std::function<void(HostRanks&)>& body) {
  MeetingPoint meeting_point(world_size);
  std::mutex mutex;
  std::exception_ptr first;  // guarded by mutex
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world_size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        ThreadRanks ranks(meeting_point, rank);
        body(ranks);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first) first = std::current_exception();
        meeting_point.abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace equipoise
