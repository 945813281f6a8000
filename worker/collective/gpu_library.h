// CUDA and NCCL live in a shared library of their own, so that a machine without a GPU needs neither.
#pragma once

#include <torch/types.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "worker/collective/collective.h"
#include "worker/collective/device_choice.h"
#include "worker/collective/wait_limit.h"

namespace equipoise {

struct GpuLibraryEntry;

// The device of this rank and, once it has joined, the collective over such devices.
struct DeviceCollective {
  torch::Device device = torch::kCPU;
  std::string name = {};                     // "NVIDIA H200"; empty on the CPU
  std::size_t free_bytes = 0;                // of the GPU's memory when it was opened
  const GpuLibraryEntry* library = nullptr;  // null on the CPU
  std::unique_ptr<Collective> over_gpu;      // null on the CPU and before join_gpu_ranks
  Collective& collective(Collective& host) const { return over_gpu ? *over_gpu : host; }
};

// What EQUIPOISE_DEVICE and this machine say: "cuda" where there is an NVIDIA driver, unless EQUIPOISE_DEVICE=cpu, else
// "cpu". Touches nothing of CUDA. Throws std::invalid_argument for EQUIPOISE_DEVICE=cuda without a driver, and for
// another value of it.
std::string wanted_device();

// On a machine with an NVIDIA driver a GPU for this rank, else the CPU. cuDNN's attention is off from then on: it makes
// a plan for every new shape, and each batch has new ones.
// `local` are the ranks of this host, `host` all ranks; all of them call it together. Throws PeerError if a peer fails,
// std::invalid_argument if some ranks have a driver and some have not, if the library does not load or fits neither
// driver nor libraries, if no GPU is seen, or there are fewer of them than local ranks.
DeviceCollective open_device(Collective& local, Collective& host);

// Gives `device` a collective over all ranks' GPUs; on the CPU nothing. All ranks call it together.
void join_gpu_ranks(DeviceCollective& device, Collective& host, WaitLimit limit);

// Bytes that this rank may still take: its GPU's, or its part of what this machine or its control group has left.
// 0: not known.
std::size_t free_memory(const DeviceCollective& device, RankInfo local);

struct GpuDevice {
  std::array<char, 48> uuid;  // with its zero
  std::array<char, 256> name;
};

// What libequipoise_gpu.so exports, in C so that it can be looked up by name.
struct GpuLibraryEntry {
  int (*device_count)();  // that are visible; 0 also where the driver is too old
  GpuVersions (*versions)();
  // False where the device does not answer. Makes no context on it.
  bool (*describe)(int device, GpuDevice* result);
  std::size_t (*free_bytes)(int device);  // 0: not known
  // `limit` is copied. On failure returns null and writes a sentence of at most `size` bytes, with its zero, to
  // `error`. *peer_failed says whether it was a peer's fault.
  Collective* (*make_nccl_collective)(Collective* host, int device, const WaitLimit* limit, char* error,
                                      std::size_t size, bool* peer_failed);
};
inline constexpr const char* kGpuLibraryFile = "libequipoise_gpu.so";
inline constexpr const char* kGpuLibraryEntry = "equipoise_gpu_library";

}  // namespace equipoise
