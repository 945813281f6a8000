// The CUDA and NCCL part must link and load where there is no GPU too, so that it cannot rot there.
#include "worker/collective/gpu_library.h"

#include <ATen/Context.h>
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "worker/collective/cpu_collective.h"

namespace equipoise {
namespace gpu_library_test {

const GpuLibraryEntry* load() {
  void* handle = dlopen(EQUIPOISE_GPU_LIBRARY, RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) {
    ADD_FAILURE() << dlerror();
    return nullptr;
  }
  return static_cast<const GpuLibraryEntry*>(dlsym(handle, kGpuLibraryEntry));
}

TEST(GpuLibrary, LoadsAndHasTheLibrariesItWasCompiledFor) {
  const GpuLibraryEntry* library = load();
  ASSERT_NE(library, nullptr);
  const GpuVersions versions = library->versions();
  EXPECT_EQ(versions.nccl_loaded, EXPECTED_NCCL_VERSION);
  EXPECT_EQ(versions.nccl_compiled, EXPECTED_NCCL_VERSION);
  EXPECT_EQ(versions.cuda_compiled / 1000, 13);
  EXPECT_EQ(versions.cuda_loaded / 1000, 13);
  EXPECT_EQ(versions.cudnn_loaded / 10000, versions.cudnn_compiled / 10000);
  GpuVersions of_libraries = versions;
  of_libraries.cuda_driver = 0;  // where there is no driver it is 0 anyway
  EXPECT_EQ(version_complaint(of_libraries, {}), "");
  EXPECT_GE(library->device_count(), 0);
}

TEST(GpuLibrary, DescribesNoDeviceThatIsNotThere) {
  const GpuLibraryEntry* library = load();
  ASSERT_NE(library, nullptr);
  GpuDevice device{};
  EXPECT_FALSE(library->describe(library->device_count(), &device));
}

TEST(GpuLibrary, BringsTheCudaKernelsOfLibTorch) {
  ASSERT_NE(load(), nullptr);
  EXPECT_TRUE(c10::Dispatcher::singleton()
                  .findSchemaOrThrow("aten::add", "Tensor")
                  .hasKernelForDispatchKey(c10::DispatchKey::CUDA));
}

class WantedDevice : public testing::Test {
 protected:
  static void set(const char* value) { setenv("EQUIPOISE_DEVICE", value, 1); }
  bool has_driver_ = std::filesystem::exists("/dev/nvidiactl");
};

TEST_F(WantedDevice, IsAGpuWhereThereIsADriver) {
  unsetenv("EQUIPOISE_DEVICE");
  EXPECT_EQ(wanted_device(), has_driver_ ? "cuda" : "cpu");
  set("cpu");
  EXPECT_EQ(wanted_device(), "cpu");
}

TEST_F(WantedDevice, IsRefusedWithoutADriverOrUnderAnotherName) {
  set("gpu");
  EXPECT_THAT([] { wanted_device(); }, testing::Throws<std::invalid_argument>(testing::Property(
                                           &std::invalid_argument::what,
                                           testing::HasSubstr("EQUIPOISE_DEVICE is \"gpu\", expected cpu or cuda"))));
  set("cuda");
  if (has_driver_) {
    EXPECT_EQ(wanted_device(), "cuda");
  } else {
    EXPECT_THAT([] { wanted_device(); }, testing::Throws<std::invalid_argument>(testing::Property(
                                             &std::invalid_argument::what, testing::HasSubstr("no NVIDIA driver"))));
  }
}

TEST_F(WantedDevice, IsOpenedWithoutCudnnsAttention) {
  set("cpu");
  EXPECT_TRUE(at::globalContext().userEnabledCuDNNSDP());
  run_ranks(2, [](Collective& host) {
    DeviceCollective opened = open_device(host, host);
    join_gpu_ranks(opened, host, kCollectiveTimeout);
    EXPECT_TRUE(opened.device.is_cpu());
    EXPECT_EQ(&opened.collective(host), &host);
    EXPECT_GT(free_memory(opened, host.info()), 0U);
  });
  EXPECT_FALSE(at::globalContext().userEnabledCuDNNSDP());
}

}  // namespace gpu_library_test
}  // namespace equipoise
