#include "worker/collective/cpu_collective.h"

#include <utility>

#include "common/base/error.h"
#include "worker/collective/host_ranks.h"

namespace equipoise {
namespace {

// Keeps the tensor for as long as its numbers are on their way.
class TensorSum : public PendingSum {
 public:
  TensorSum(torch::Tensor tensor, std::unique_ptr<PendingSum> sum) : tensor_(std::move(tensor)), sum_(std::move(sum)) {}
  void wait() override { sum_->wait(); }

 private:
  torch::Tensor tensor_;
  std::unique_ptr<PendingSum> sum_;
};

template <typename Number>
std::span<Number> numbers_of(const torch::Tensor& tensor) {
  return {static_cast<Number*>(tensor.data_ptr()), static_cast<std::size_t>(tensor.numel())};
}

}  // namespace

std::unique_ptr<PendingSum> CpuCollective::start_all_reduce_sum(torch::Tensor tensor) {
  EQUIPOISE_CHECK(tensor.is_contiguous() && tensor.device().is_cpu());
  const bool is_double = tensor.scalar_type() == torch::kFloat64;
  EQUIPOISE_CHECK(is_double || tensor.scalar_type() == torch::kFloat32);
  auto sum = is_double ? ranks_.start_sum(numbers_of<double>(tensor)) : ranks_.start_sum(numbers_of<float>(tensor));
  return std::make_unique<TensorSum>(std::move(tensor), std::move(sum));
}

std::unique_ptr<Collective> make_mpi_collective(const MpiSession& session, WaitLimit limit) {
  return std::make_unique<CpuCollective>(make_mpi_ranks(session, limit));
}

std::unique_ptr<Collective> make_host_collective(const MpiSession& session, WaitLimit limit) {
  return std::make_unique<CpuCollective>(make_local_mpi_ranks(session, limit));
}

void run_ranks(int world_size, const std::function<void(Collective&)>& body) {
  run_host_ranks(world_size, [&](HostRanks& ranks) {
    CpuCollective collective(ranks);
    body(collective);
  });
}

}  // namespace equipoise
