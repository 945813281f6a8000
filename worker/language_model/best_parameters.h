// The parameters of the best evaluation so far, in the host's memory.
#pragma once

#include <vector>

#include "worker/model/decoder.h"

namespace equipoise {

class BestParameters {
 public:
  // Copies them in place of those kept before.
  void keep(const std::vector<NamedTensor>& parameters);
  // Writes what is kept, if anything is, into the same parameters.
  void put_back(const std::vector<NamedTensor>& parameters) const;

 private:
  std::vector<torch::Tensor> kept_;
};

}  // namespace equipoise
