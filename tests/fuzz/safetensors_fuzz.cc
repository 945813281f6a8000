#include <map>
#include <string_view>

#include "common/huggingface/safetensors.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/hostile_input.h"

namespace equipoise {
namespace {

std::size_t bits_of(std::string_view dtype) {
  static const std::map<std::string_view, std::size_t> bits = {
      {"BOOL", 8},    {"U8", 8},      {"I8", 8},          {"F8_E5M2", 8},    {"F8_E4M3", 8}, {"F8_E8M0", 8},
      {"I16", 16},    {"U16", 16},    {"F16", 16},        {"BF16", 16},      {"I32", 32},    {"U32", 32},
      {"F32", 32},    {"C64", 64},    {"F64", 64},        {"I64", 64},       {"U64", 64},    {"F4", 4},
      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}};
  const auto found = bits.find(dtype);
  promise(found != bits.end(), "a dtype is one of the format's");
  return found->second;
}

void check_tensor(const TensorView& tensor) {
  std::size_t numbers = 1;
  for (const std::int64_t size : tensor.shape) {
    promise(size >= 0, "a size is not negative");
    promise(!__builtin_mul_overflow(numbers, static_cast<std::size_t>(size), &numbers), "a shape does not overflow");
  }
  promise(tensor.bytes.size() * 8 == numbers * bits_of(tensor.dtype), "bytes are shape times dtype");
  // All of them can be read.
  unsigned sum = 0;
  for (const std::byte byte : tensor.bytes) sum += std::to_integer<unsigned>(byte);
  const volatile unsigned read = sum;
  static_cast<void>(read);
}

}  // namespace

bool fuzz_safetensors(std::span<const std::uint8_t> input) {
  const MemoryFile file(input);
  return accepts([&] {
    const SafetensorsFile tensors = SafetensorsFile::open(file.path());
    for (const TensorView& tensor : tensors.tensors()) {
      check_tensor(tensor);
      promise(tensors.find(tensor.name) != nullptr, "a tensor is found by its name");
    }
  });
}

}  // namespace equipoise
