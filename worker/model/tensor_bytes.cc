#include "worker/model/tensor_bytes.h"

#include <cstring>
#include <stdexcept>

#include "common/base/error.h"

namespace equipoise {
namespace {

struct DtypeName {
  torch::Dtype dtype;
  const char* name;
};
constexpr DtypeName kDtypes[] = {
    {torch::kFloat64, "F64"}, {torch::kFloat32, "F32"}, {torch::kFloat16, "F16"}, {torch::kBFloat16, "BF16"}};

const char* name_of(torch::Dtype wanted) {
  for (const auto& [dtype, name] : kDtypes) {
    if (dtype == wanted) return name;
  }
  EQUIPOISE_CHECK(!"a parameter is float64, float32, float16 or bfloat16");
  return nullptr;
}

}  // namespace

torch::Dtype torch_dtype_of(const TensorView& view) {
  for (const auto& [dtype, name] : kDtypes) {
    if (view.dtype == name) return dtype;
  }
  throw std::invalid_argument("tensor " + view.name + " holds " + view.dtype + ", expected F64, F32, F16 or BF16");
}

torch::Tensor to_torch(const TensorView& view, torch::Dtype dtype, torch::Device device) {
  // A file need not align its numbers, so the bytes are copied before they are used as such.
  const torch::Tensor tensor = torch::empty(view.shape, torch_dtype_of(view));
  EQUIPOISE_CHECK(tensor.nbytes() == view.bytes.size());
  if (!view.bytes.empty()) std::memcpy(tensor.data_ptr(), view.bytes.data(), view.bytes.size());
  return tensor.to(device, dtype);
}

TensorView view_of(const std::string& name, const torch::Tensor& tensor) {
  EQUIPOISE_CHECK(tensor.is_cpu() && tensor.is_contiguous());
  return {.name = name,
          .dtype = name_of(tensor.scalar_type()),
          .shape = tensor.sizes().vec(),
          .bytes = {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}};
}

}  // namespace equipoise
