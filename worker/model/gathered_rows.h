// Rows of a tensor where a layout wants them.
#pragma once

#include <torch/types.h>

#include "worker/data/attention_block.h"

namespace equipoise {

// [N, F] from x [rows, ...] with F elements a row: place n holds row uses.row_N[n]. The gradient of a row is the sum
// over the places that use it, in float32 for narrower types and always in the same order. Differentiable once.
torch::Tensor gathered_rows(const torch::Tensor& x, const RowUses& uses);

}  // namespace equipoise
