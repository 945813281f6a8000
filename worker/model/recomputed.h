// A layer whose intermediate results are not kept for its gradient but computed again.
// Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost" (arXiv:1604.06174).
#pragma once

#include <torch/types.h>

#include <functional>

namespace equipoise {

// y = layer(x), keeping x alone. The backward pass calls `layer` once more, under gradient mode, and so reaches every
// tensor that the layer uses: gradients are those of layer(x), bit by bit, as long as the layer draws nothing at
// random (dropout.h does not). What the layer refers to must live until then. Without gradient mode it is layer(x).
torch::Tensor recomputed(std::function<torch::Tensor(const torch::Tensor&)> layer, const torch::Tensor& x);

}  // namespace equipoise
