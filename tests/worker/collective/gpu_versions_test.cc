#include "worker/collective/gpu_versions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace equipoise {
namespace gpu_versions_test {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr GpuVersions kRight{.cuda_driver = 13000,
                             .cuda_compiled = 13000,
                             .cuda_loaded = 13000,
                             .nccl_compiled = 22809,
                             .nccl_loaded = 22809,
                             .cudnn_compiled = 91900,
                             .cudnn_loaded = 91900};

TEST(GpuVersions, ReadsTheDriversVersionOfBothKindsOfModule) {
  EXPECT_EQ(driver_version("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\n"
                           "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"),
            "550.54.14");
  EXPECT_EQ(driver_version("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n"),
            "580.65.06");
  EXPECT_EQ(driver_version(""), "");
  EXPECT_EQ(driver_version("GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"), "");
}

TEST(GpuVersions, AcceptsThoseOfTheBuildAndNewerOnesOfTheSameMajorVersion) {
  EXPECT_EQ(version_complaint(kRight, {}), "");
  GpuVersions newer = kRight;
  newer.cuda_driver = 14010;
  newer.cuda_loaded = 13020;
  newer.nccl_loaded = 22907;
  newer.cudnn_loaded = 92001;
  EXPECT_EQ(version_complaint(newer, {}), "");
}

TEST(GpuVersions, SaysThatADriverIsTooOldAndWhichOneIsWanted) {
  GpuVersions versions = kRight;
  versions.cuda_driver = 12040;
  EXPECT_EQ(version_complaint(versions, {.driver = "550.54.14", .visible_devices = {}}),
            "the NVIDIA driver 550.54.14 offers CUDA 12.4, but this build needs CUDA 13.0 (driver 580 or newer): "
            "update the driver, or set EQUIPOISE_DEVICE=cpu");
  // A process sees no device then; the driver is the reason.
  EXPECT_THAT(no_device_text(versions, {}), HasSubstr("offers CUDA 12.4"));
}

TEST(GpuVersions, SaysWhichLibraryTheLoaderTookInPlaceOfTheBuilds) {
  GpuVersions versions = kRight;
  versions.nccl_loaded = 21805;
  EXPECT_EQ(version_complaint(versions, {}),
            "the dynamic loader took libnccl 2.18.5, but this build was made with 2.28.9: take the folder of the other "
            "one out of LD_LIBRARY_PATH");
  versions = kRight;
  versions.cuda_loaded = 12080;
  EXPECT_THAT(version_complaint(versions, {}), HasSubstr("libcudart 12.8.0, but this build was made with 13.0.0"));
  versions = kRight;
  versions.cudnn_loaded = 91002;
  EXPECT_THAT(version_complaint(versions, {}), HasSubstr("libcudnn 9.10.2, but this build was made with 9.19.0"));
}

TEST(GpuVersions, ComparesNothingThatIsNotKnown) { EXPECT_THAT(version_complaint({}, {}), IsEmpty()); }

TEST(GpuVersions, BlamesTheVariableThatHidesTheGpus) {
  EXPECT_THAT(no_device_text(kRight, {.driver = "580.65", .visible_devices = ""}),
              HasSubstr("CUDA_VISIBLE_DEVICES is empty"));
  EXPECT_THAT(no_device_text(kRight, {.driver = "580.65", .visible_devices = "7"}),
              HasSubstr("CUDA_VISIBLE_DEVICES=7 names no GPU of this machine"));
  EXPECT_THAT(no_device_text(kRight, {.driver = "580.65", .visible_devices = {}}),
              AllOf(HasSubstr("the NVIDIA driver 580.65"), HasSubstr("sees no GPU"), Not(HasSubstr("VISIBLE"))));
}

}  // namespace gpu_versions_test
}  // namespace equipoise
