// Gradients as slices of one flat buffer, summed over the ranks in buckets while the backward pass still runs.
// In the parameters' type, float32 for bfloat16 parameters.
#pragma once

#include <memory>
#include <vector>

#include "worker/collective/collective.h"
#include "worker/model/decoder.h"

namespace equipoise {

// Buckets hold parameters from the last one backwards, the order in which their gradients come. All ranks start them in
// the same order, whatever order their own gradients come in.
class GradientBuckets {
 public:
  // Points every parameter's .grad into the buffer. `parameters` and `collective` outlive it. bucket_bytes > 0.
  GradientBuckets(const std::vector<NamedTensor>& parameters, Collective& collective, std::size_t bucket_bytes);
  ~GradientBuckets();
  GradientBuckets(const GradientBuckets&) = delete;
  GradientBuckets& operator=(const GradientBuckets&) = delete;

  // Start of a step: all gradients 0.
  void zero();
  // The next backward pass is the last of this step: a bucket leaves as soon as its gradients are there.
  void sum_during_backward();
  // Starts the buckets that have not left and returns when every gradient is the sum over all ranks.
  void finish();

  std::size_t num_buckets() const { return buckets_.size(); }

 private:
  struct Bucket {
    torch::Tensor flat;  // a slice of flat_
    std::size_t parameters = 0;
    std::size_t pending = 0;
    std::unique_ptr<PendingSum> sum;
  };
  class Hook;

  void gradient_ready(std::size_t bucket);
  void start_ready_buckets();

  Collective& collective_;
  torch::Tensor flat_;
  std::vector<Bucket> buckets_;
  std::vector<torch::Tensor> hooked_;
  std::size_t next_bucket_ = 0;  // the first that has not left
  bool summing_ = false;
};

}  // namespace equipoise
