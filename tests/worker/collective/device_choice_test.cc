#include "worker/collective/device_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "worker/collective/cpu_collective.h"

namespace equipoise {
namespace device_choice_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Property;
using ::testing::Throws;

auto refused_with(const std::string& text) {
  return Throws<std::invalid_argument>(Property(&std::invalid_argument::what, HasSubstr(text)));
}

std::vector<std::size_t> choose(const std::vector<VisibleDevices>& seen_L) { return choose_devices(seen_L); }

TEST(DeviceChoice, TakesTheNumberOfTheLocalRankWhereAllRanksSeeAllGpus) {
  EXPECT_THAT(choose({{"a", "b", "c"}, {"a", "b", "c"}}), ElementsAre(0, 1));
}

// Slurm's --gpus-per-task once made "1 GPUs and 2 ranks" of this.
TEST(DeviceChoice, TakesItsOwnGpuWhereEachRankSeesAnother) {
  EXPECT_THAT(choose({{"a"}, {"b"}, {"c"}}), ElementsAre(0, 0, 0));
}

// Every way in which 3 ranks may see some of 3 GPUs, in some order: a choice that is made gives each rank a GPU of its
// own, and one is made wherever there is one.
TEST(DeviceChoice, FindsAChoiceWhereverThereIsOne) {
  std::vector<VisibleDevices> lists;
  for (const char* a : {"", "a", "b", "c"}) {
    for (const char* b : {"", "a", "b", "c"}) {
      VisibleDevices list;
      for (const std::string uuid : {a, b}) {
        if (!uuid.empty() && (list.empty() || list.front() != uuid)) list.push_back(uuid);
      }
      if (!list.empty()) lists.push_back(list);
    }
  }
  const auto exists = [](const std::vector<VisibleDevices>& seen_L) {
    for (const auto& a : seen_L[0]) {
      for (const auto& b : seen_L[1]) {
        for (const auto& c : seen_L[2]) {
          if (a != b && b != c && a != c) return true;
        }
      }
    }
    return false;
  };
  for (const auto& first : lists) {
    for (const auto& second : lists) {
      for (const auto& third : lists) {
        const std::vector<VisibleDevices> seen_L = {first, second, third};
        if (!exists(seen_L)) {
          EXPECT_THROW(choose(seen_L), std::invalid_argument);
          continue;
        }
        const auto number_L = choose(seen_L);
        std::set<std::string> taken;
        for (std::size_t rank = 0; rank < 3; ++rank) taken.insert(seen_L[rank].at(number_L[rank]));
        EXPECT_EQ(taken.size(), 3U);
      }
    }
  }
}

TEST(DeviceChoice, RefusesMoreRanksThanGpus) {
  EXPECT_THAT(
      [] {
        choose({{"a", "b"}, {"a", "b"}, {"a", "b"}});
      },
      refused_with("the 3 ranks of this host see 2 GPUs and cannot have one each"));
  EXPECT_THAT([] { choose({{"a"}, {"a"}}); }, refused_with("the 2 ranks of this host see 1 GPU and"));
  // Three GPUs, but two of the ranks see only one and the same.
  EXPECT_THAT([] { choose({{"a"}, {"a"}, {"a", "b", "c"}}); }, refused_with("the 3 ranks of this host see 3 GPUs and"));
}

TEST(DeviceChoice, RefusesARankThatSeesNone) {
  EXPECT_THAT([] { choose({{"a"}, {}}); }, refused_with("local rank 1 sees no GPU"));
}

TEST(DeviceChoice, GathersWhatEveryRankSees) {
  run_ranks(3, [](Collective& local) {
    const std::vector<VisibleDevices> all = {{"GPU-0", "GPU-1"}, {}, {"GPU-2"}};
    EXPECT_EQ(gathered_devices(all[static_cast<std::size_t>(local.info().rank)], local), all);
  });
}

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

}  // namespace device_choice_test
}  // namespace equipoise
