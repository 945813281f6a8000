#include "worker/language_model/checkpoint_tensors.h"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

namespace equipoise {

CheckpointSnapshot::CheckpointSnapshot(CheckpointShare share)
    : share_(share),
      bytes_of_share_(static_cast<std::size_t>(share.count)),
      copies_(std::make_shared<std::vector<torch::Tensor>>()) {}

void CheckpointSnapshot::add_sharded(const char* part, const std::vector<NamedTensor>& tensors) {
  std::vector<NamedTensor> mine;
  for (const NamedTensor& tensor : tensors) {
    const auto smallest = std::ranges::min_element(bytes_of_share_);
    *smallest += tensor.tensor.nbytes();
    if (smallest - bytes_of_share_.begin() == share_.index) mine.push_back(tensor);
  }
  add({.name = part, .is_sharded = true, .tensors = {}}, mine);
}

void CheckpointSnapshot::add_whole(const char* part, const std::vector<NamedTensor>& tensors) {
  for (const NamedTensor& tensor : tensors) bytes_of_share_.front() += tensor.tensor.nbytes();
  if (share_.index == 0) add({.name = part, .is_sharded = false, .tensors = {}}, tensors);
}

void CheckpointSnapshot::add(CheckpointPart part, const std::vector<NamedTensor>& tensors) {
  const torch::NoGradGuard no_grad;
  for (const NamedTensor& tensor : tensors) {
    const torch::Tensor dense = tensor.tensor.detach().contiguous();
    copies_->push_back(dense.to(dense.options().device(torch::kCPU), /*non_blocking=*/false, /*copy=*/true));
    part.tensors.push_back(view_of(tensor.name, copies_->back()));
  }
  snapshot_.parts.push_back(std::move(part));
}

PolicySnapshot CheckpointSnapshot::finish() {
  snapshot_.memory.push_back(copies_);
  return std::move(snapshot_);
}

void read_tensors(const CheckpointReader& checkpoint, const char* part, const std::vector<NamedTensor>& tensors) {
  const torch::NoGradGuard no_grad;
  for (const NamedTensor& tensor : tensors) {
    const torch::Tensor read = torch::empty(tensor.tensor.sizes(), torch::dtype(tensor.tensor.scalar_type()));
    checkpoint.read(part, view_of(tensor.name, read),
                    {static_cast<std::byte*>(read.mutable_data_ptr()), read.nbytes()});
    torch::Tensor(tensor.tensor).copy_(read);
  }
}

}  // namespace equipoise
