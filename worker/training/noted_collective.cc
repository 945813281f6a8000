#include "worker/training/noted_collective.h"

namespace equipoise {
namespace {

constexpr const char* kGradients = "all_reduce_sum of gradients";

class NotedSum final : public PendingSum {
 public:
  NotedSum(std::unique_ptr<PendingSum> sum, RankProgress& progress) : sum_(std::move(sum)), progress_(progress) {}
  void wait() override {
    const RankProgress::InCollective inside(progress_, kGradients);
    sum_->wait();
  }

 private:
  std::unique_ptr<PendingSum> sum_;
  RankProgress& progress_;
};

}  // namespace

void NotedCollective::all_reduce_sum(std::span<double> values) {
  const RankProgress::InCollective inside(progress_, "all_reduce_sum");
  collective_->all_reduce_sum(values);
}

void NotedCollective::broadcast(std::span<std::byte> bytes, int root) {
  const RankProgress::InCollective inside(progress_, "broadcast");
  collective_->broadcast(bytes, root);
}

// Starting one may wait for the other ranks too: over NCCL a communicator is set up by its first use.
std::unique_ptr<PendingSum> NotedCollective::start_all_reduce_sum(torch::Tensor tensor) {
  const RankProgress::InCollective inside(progress_, kGradients);
  return std::make_unique<NotedSum>(collective_->start_all_reduce_sum(std::move(tensor)), progress_);
}

}  // namespace equipoise
