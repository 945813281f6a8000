// One fuzz target as libFuzzer calls it; EQUIPOISE_FUZZ_TARGET names it.
#include <cstddef>

#include "tests/fuzz/fuzz_target.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  equipoise::EQUIPOISE_FUZZ_TARGET({data, size});
  return 0;
}
