// A collective that tells a rank's progress when the rank is in it.
#pragma once

#include <memory>
#include <span>
#include <utility>

#include "worker/client/rank_progress.h"
#include "worker/collective/collective.h"

namespace equipoise {

class NotedCollective final : public Collective {
 public:
  // `progress` outlives it.
  NotedCollective(std::unique_ptr<Collective> collective, RankProgress& progress)
      : collective_(std::move(collective)), progress_(progress) {}

  RankInfo info() const override { return collective_->info(); }
  void all_reduce_sum(std::span<double> values) override;
  void broadcast(std::span<std::byte> bytes, int root) override;
  std::unique_ptr<PendingSum> start_all_reduce_sum(torch::Tensor tensor) override;

 private:
  std::unique_ptr<Collective> collective_;
  RankProgress& progress_;
};

}  // namespace equipoise
