// Tensors on their way into a checkpoint and back, bit by bit.
#pragma once

#include <cstddef>
#include <vector>

#include "worker/model/tensor_bytes.h"
#include "worker/training/checkpoint_reader.h"
#include "worker/training/trained_policy.h"

namespace equipoise {

// A rank's share of a checkpoint's tensors, copied into host memory. The shares of all ranks have about the same bytes.
class CheckpointSnapshot {
 public:
  explicit CheckpointSnapshot(CheckpointShare share);

  // Each tensor goes to the share that has the fewest bytes so far.
  void add_sharded(const char* part, const std::vector<NamedTensor>& tensors);
  // All of them go to the first share.
  void add_whole(const char* part, const std::vector<NamedTensor>& tensors);
  PolicySnapshot finish();

 private:
  void add(CheckpointPart part, const std::vector<NamedTensor>& tensors);

  const CheckpointShare share_;
  std::vector<std::size_t> bytes_of_share_;
  std::shared_ptr<std::vector<torch::Tensor>> copies_;
  PolicySnapshot snapshot_;
};

// Writes what the checkpoint has of `part` into `tensors`, which have its names, shapes and types, on every rank.
// Throws as CheckpointReader::read().
void read_tensors(const CheckpointReader& checkpoint, const char* part, const std::vector<NamedTensor>& tensors);

}  // namespace equipoise
