#include "worker/model/dora.h"

#include "worker/model/wide_type.h"

namespace equipoise {

torch::Tensor squared_row_norms(const torch::Tensor& weight_OI) {
  const torch::NoGradGuard no_grad;
  return weight_OI.to(wide_type(weight_OI.scalar_type())).square().sum(1);
}

// |W + s B A|^2 = |W|^2 + 2 s B (A W^T)^T + s^2 B (A A^T) B^T, row by row: products of rank r alone.
torch::Tensor adapted_row_norms(const torch::Tensor& weight_OI, const torch::Tensor& square_O,
                                const torch::Tensor& a_RI, const torch::Tensor& b_OR, double scaling) {
  const torch::NoGradGuard no_grad;
  const torch::Dtype wide = square_O.scalar_type();
  const torch::Tensor b_wide_OR = b_OR.to(wide), a_wide_RI = a_RI.to(wide);
  const torch::Tensor across_OR = torch::mm(weight_OI, a_RI.t()).to(wide);
  const torch::Tensor change_OR = torch::mm(b_wide_OR, torch::mm(a_wide_RI, a_wide_RI.t()));
  const torch::Tensor added_O = (b_wide_OR * (2 * scaling * across_OR + scaling * scaling * change_OR)).sum(1);
  return (square_O + added_O).clamp_min_(0).sqrt_().to(weight_OI.scalar_type());
}

}  // namespace equipoise
