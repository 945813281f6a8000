#include "worker/collective/gpu_library.h"

#include <ATen/Context.h>
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "common/base/environment.h"
#include "common/base/error.h"
#include "worker/collective/device_choice.h"
#include "worker/collective/host_resources.h"

namespace equipoise {
namespace {

constexpr char kDriverFile[] = "/dev/nvidiactl";

// The library stands in ../lib beside the program's folder, or where the dynamic loader looks.
const GpuLibraryEntry& load_gpu_library() {
  const auto program = std::filesystem::read_symlink("/proc/self/exe");
  const auto beside = program.parent_path().parent_path() / "lib" / kGpuLibraryFile;
  const std::string file = std::filesystem::exists(beside) ? beside.string() : std::string(kGpuLibraryFile);
  // Batches have new shapes in every step, which leaves holes between blocks of a fixed size. Read by LibTorch's
  // allocator when it first allocates; what the user has set stays.
  setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True", /*overwrite=*/0);
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) {
    throw std::invalid_argument("this machine has an NVIDIA driver, but " + file + " does not load: " + dlerror() +
                                "; run deploy/bootstrap --gpu, or set EQUIPOISE_DEVICE=cpu");
  }
  const void* entry = dlsym(handle, kGpuLibraryEntry);
  if (entry == nullptr) throw std::invalid_argument(file + " does not export " + kGpuLibraryEntry);
  return *static_cast<const GpuLibraryEntry*>(entry);
}

VisibleDevices visible_devices(const GpuLibraryEntry& library) {
  const GpuVersions versions = library.versions();
  const GpuSurroundings around = gpu_surroundings();
  const std::string complaint = version_complaint(versions, around);
  if (!complaint.empty()) throw std::invalid_argument(complaint);
  const int count = library.device_count();
  if (count == 0) throw std::invalid_argument(no_device_text(versions, around));
  VisibleDevices seen;
  for (int number = 0; number < count; ++number) {
    GpuDevice device{};
    if (!library.describe(number, &device)) {
      throw std::runtime_error("cuda:" + std::to_string(number) + " does not answer; nvidia-smi -q says more");
    }
    seen.emplace_back(device.uuid.data());
  }
  return seen;
}

}  // namespace

std::string wanted_device() {
  const std::string wanted = device_setting();
  const bool has_driver = std::filesystem::exists(kDriverFile);
  if (wanted == "cpu") return "cpu";
  if (wanted.empty()) return has_driver ? "cuda" : "cpu";
  if (!has_driver) {
    throw std::invalid_argument("EQUIPOISE_DEVICE is cuda, but this machine has no NVIDIA driver: there is no " +
                                std::string(kDriverFile));
  }
  return "cuda";
}

DeviceCollective open_device(Collective& local, Collective& host) {
  at::globalContext().setSDPUseCuDNN(false);
  double ranks_on_gpu = wanted_device() == "cuda" ? 1 : 0;
  host.all_reduce_sum(std::span(&ranks_on_gpu, 1));
  if (ranks_on_gpu == 0) return {};
  if (ranks_on_gpu != host.info().world_size) {
    throw std::invalid_argument(std::to_string(static_cast<int>(ranks_on_gpu)) + " of " +
                                std::to_string(host.info().world_size) +
                                " ranks have a GPU: give one to each, or keep all on the CPU with EQUIPOISE_DEVICE=cpu "
                                "(mpirun -x EQUIPOISE_DEVICE)");
  }
  const GpuLibraryEntry& library = load_gpu_library();
  const std::vector<VisibleDevices> seen_L = gathered_devices(visible_devices(library), local);
  const std::size_t number = choose_devices(seen_L)[static_cast<std::size_t>(local.info().rank)];
  GpuDevice described{};
  library.describe(static_cast<int>(number), &described);
  DeviceCollective result;
  result.device = torch::Device(torch::kCUDA, static_cast<c10::DeviceIndex>(number));
  result.name = described.name.data();
  result.free_bytes = library.free_bytes(static_cast<int>(number));
  result.library = &library;
  return result;
}

void join_gpu_ranks(DeviceCollective& device, Collective& host, WaitLimit limit) {
  if (device.library == nullptr) return;
  std::array<char, 1024> error{};
  bool peer_failed = false;
  Collective* collective = device.library->make_nccl_collective(&host, device.device.index(), &limit, error.data(),
                                                                error.size(), &peer_failed);
  if (collective == nullptr && peer_failed) throw PeerError(error.data());
  if (collective == nullptr) throw std::invalid_argument(device.device.str() + ": " + error.data());
  device.over_gpu.reset(collective);
}

std::size_t free_memory(const DeviceCollective& device, RankInfo local) {
  if (device.library != nullptr) return device.free_bytes;
  return free_host_memory("/") / static_cast<std::size_t>(local.world_size);
}

}  // namespace equipoise
