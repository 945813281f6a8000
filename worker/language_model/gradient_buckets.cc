#include "worker/language_model/gradient_buckets.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace equipoise {

// Runs after a parameter's gradient has been accumulated.
class GradientBuckets::Hook : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(GradientBuckets& owner, std::size_t bucket) : owner_(owner), bucket_(bucket) {}
  void operator()(const torch::autograd::Variable&) override { owner_.gradient_ready(bucket_); }

 private:
  GradientBuckets& owner_;
  std::size_t bucket_;
};

GradientBuckets::GradientBuckets(const std::vector<NamedTensor>& parameters, Collective& collective,
                                 std::size_t bucket_bytes)
    : collective_(collective) {
  std::int64_t total = 0;
  for (const NamedTensor& parameter : parameters) total += parameter.tensor.numel();
  // Sums over micro-batches and ranks need more bits than a bfloat16 gradient has.
  const torch::Tensor& first = parameters.front().tensor;
  const bool is_narrow = first.scalar_type() == torch::kBFloat16;
  const torch::Dtype dtype = is_narrow ? torch::kFloat32 : first.scalar_type();
  flat_ = torch::zeros({total}, first.options().dtype(dtype).requires_grad(false));
  const auto bucket_elements = static_cast<std::int64_t>(bucket_bytes / flat_.element_size());

  std::int64_t begin = 0, offset = 0;
  std::size_t members = 0;
  const auto close_bucket = [&] {
    if (members == 0) return;
    buckets_.push_back(
        {.flat = flat_.slice(0, begin, offset), .parameters = members, .pending = members, .sum = nullptr});
    begin = offset;
    members = 0;
  };
  for (auto parameter = parameters.rbegin(); parameter != parameters.rend(); ++parameter) {
    torch::Tensor tensor = parameter->tensor;
    if (offset > begin && offset + tensor.numel() - begin > bucket_elements) close_bucket();
    if (is_narrow) tensor.set_grad_dtype(dtype);
    tensor.mutable_grad() = flat_.slice(0, offset, offset + tensor.numel()).view(tensor.sizes());
    torch::autograd::impl::set_post_acc_grad_hooks(tensor, std::make_unique<Hook>(*this, buckets_.size()));
    hooked_.push_back(tensor);
    offset += tensor.numel();
    ++members;
  }
  close_bucket();
}

GradientBuckets::~GradientBuckets() {
  for (torch::Tensor& tensor : hooked_) torch::autograd::impl::set_post_acc_grad_hooks(tensor, nullptr);
}

void GradientBuckets::zero() {
  flat_.zero_();
  summing_ = false;
  next_bucket_ = 0;
  for (Bucket& bucket : buckets_) bucket.pending = bucket.parameters;
}

void GradientBuckets::sum_during_backward() { summing_ = true; }

void GradientBuckets::gradient_ready(std::size_t bucket) {
  if (!summing_) return;
  --buckets_[bucket].pending;
  start_ready_buckets();
}

void GradientBuckets::start_ready_buckets() {
  while (next_bucket_ < buckets_.size() && buckets_[next_bucket_].pending == 0) {
    Bucket& bucket = buckets_[next_bucket_++];
    bucket.sum = collective_.start_all_reduce_sum(bucket.flat);
  }
}

void GradientBuckets::finish() {
  for (Bucket& bucket : buckets_) bucket.pending = 0;
  start_ready_buckets();
  for (Bucket& bucket : buckets_) {
    bucket.sum->wait();
    bucket.sum.reset();
  }
}

}  // namespace equipoise
