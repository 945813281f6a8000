// Which GPU each rank of a host takes, from what the ranks see, and whether driver and libraries are new enough for
// this build.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/collective/host_collective.h"

namespace equipoise {

// As the libraries encode them: CUDA 13000 is 13.0, NCCL 22809 is 2.28.9, cuDNN 91900 is 9.19.0. 0: not known.
struct GpuVersions {
  int cuda_driver = 0;  // the newest CUDA that the driver offers
  int cuda_compiled = 0, cuda_loaded = 0;
  int nccl_compiled = 0, nccl_loaded = 0;
  int cudnn_compiled = 0, cudnn_loaded = 0;
};

// Where a rank looks for GPUs, for a sentence.
struct GpuSurroundings {
  std::string driver;                          // version of the kernel module, "550.54.14"; empty: not known
  std::optional<std::string> visible_devices;  // CUDA_VISIBLE_DEVICES
};
GpuSurroundings gpu_surroundings();

// "550.54.14" of the text of /proc/driver/nvidia/version; empty where there is none.
std::string driver_version(const std::string& text);

// A sentence why these versions do not go together; empty if they do. The same major version and at least the minor
// version of the build is right.
std::string version_complaint(const GpuVersions& versions, const GpuSurroundings& around);

// A sentence why a process sees no GPU where there is a driver.
std::string no_device_text(const GpuVersions& versions, const GpuSurroundings& around);

// UUIDs of the GPUs that a rank sees, in the order of its device numbers. Schedulers differ: all ranks of a host see
// all GPUs, or each one its own (Slurm's --gpus-per-task), or some of them.
using VisibleDevices = std::vector<std::string>;

// The device number of each rank, such that no two ranks have the same GPU. Rank l takes its number l where it can.
// Throws std::invalid_argument if some rank sees no GPU or there are fewer GPUs than ranks.
std::vector<std::size_t> choose_devices(std::span<const VisibleDevices> seen_L);

// What every rank of `local` sees, in the order of the ranks. All of them call it together.
std::vector<VisibleDevices> gathered_devices(const VisibleDevices& mine, HostCollective& local);

}  // namespace equipoise
