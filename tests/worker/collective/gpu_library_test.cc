// The CUDA and NCCL part must link and load where there is no GPU too, so that it cannot rot there.
#include "worker/collective/gpu_library.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

namespace equipoise {
namespace {

const GpuLibraryEntry* load() {
  void* handle = dlopen(EQUIPOISE_GPU_LIBRARY, RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) {
    ADD_FAILURE() << dlerror();
    return nullptr;
  }
  return static_cast<const GpuLibraryEntry*>(dlsym(handle, kGpuLibraryEntry));
}

TEST(GpuLibrary, LoadsAndHasTheNcclItWasCompiledFor) {
  const GpuLibraryEntry* library = load();
  ASSERT_NE(library, nullptr);
  EXPECT_EQ(library->nccl_version(), EXPECTED_NCCL_VERSION);
  EXPECT_GE(library->device_count(), 0);
}

TEST(GpuLibrary, BringsTheCudaKernelsOfLibTorch) {
  ASSERT_NE(load(), nullptr);
  EXPECT_TRUE(c10::Dispatcher::singleton()
                  .findSchemaOrThrow("aten::add", "Tensor")
                  .hasKernelForDispatchKey(c10::DispatchKey::CUDA));
}

}  // namespace
}  // namespace equipoise
