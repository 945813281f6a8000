// CUDA and NCCL live in a shared library of their own, so that a machine without a GPU needs neither.
#pragma once

#include <torch/types.h>

#include <memory>

#include "worker/collective/collective.h"

namespace equipoise {

// The device of this rank and the collective over such devices. On a machine with an NVIDIA driver: cuda:<local rank>
// and NCCL, else the CPU and `host` itself.
struct DeviceCollective {
  torch::Device device = torch::kCPU;
  std::unique_ptr<Collective> over_gpu;  // null on the CPU
  Collective& collective(Collective& host) const { return over_gpu ? *over_gpu : host; }
};

// `local` numbers the ranks of this host. EQUIPOISE_DEVICE=cpu keeps a rank on the CPU.
// All ranks call it together. Throws PeerError if a peer fails, std::invalid_argument if some ranks have a driver and
// some have not, if there is a driver but the library does not load, or there are fewer GPUs than local ranks.
DeviceCollective open_device(RankInfo local, Collective& host, std::chrono::seconds timeout);

// What libequipoise_gpu.so exports, in C so that it can be looked up by name.
struct GpuLibraryEntry {
  int (*device_count)();
  // On failure returns null and writes a sentence of at most `size` bytes, with its zero, to `error`.
  // *peer_failed says whether it was a peer's fault.
  Collective* (*make_nccl_collective)(Collective* host, int device, long timeout_seconds, char* error, std::size_t size,
                                      bool* peer_failed);
  int (*nccl_version)();
};
inline constexpr const char* kGpuLibraryFile = "libequipoise_gpu.so";
inline constexpr const char* kGpuLibraryEntry = "equipoise_gpu_library";

}  // namespace equipoise
