#include "worker/model/rms_norm.h"

#include "worker/model/wide_type.h"

namespace equipoise {

torch::Tensor rms_norm(const DecoderConfig& config, const torch::Tensor& x, const torch::Tensor& weight_W) {
  const torch::Tensor wide = x.to(wide_type(x.scalar_type()));
  const torch::Tensor inverse_rms = (wide.square().mean(-1, true) + config.rms_norm_eps).rsqrt();
  // Rounding to a narrow type comes before the product with w, but after that with 1 + w: as transformers does it.
  switch (config.norm_scale) {
    case NormScale::kWeight:
      return (wide * inverse_rms).to(x.scalar_type()) * weight_W;
    case NormScale::kOnePlusWeight:
      return (wide * inverse_rms * (1 + weight_W.to(wide.scalar_type()))).to(x.scalar_type());
  }
  return {};
}

}  // namespace equipoise
