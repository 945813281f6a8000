#include "worker/collective/gpu_library.h"

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/base/error.h"

namespace equipoise {
namespace {

bool wants_cpu() {
  const char* wanted = std::getenv("EQUIPOISE_DEVICE");
  return wanted != nullptr && std::string_view(wanted) == "cpu";
}

// The library stands in ../lib beside the program's folder, or where the dynamic loader looks.
const GpuLibraryEntry& load_gpu_library() {
  const auto program = std::filesystem::read_symlink("/proc/self/exe");
  const auto beside = program.parent_path().parent_path() / "lib" / kGpuLibraryFile;
  const std::string file = std::filesystem::exists(beside) ? beside.string() : std::string(kGpuLibraryFile);
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) {
    throw std::invalid_argument("this machine has an NVIDIA driver, but " + file + " does not load: " + dlerror() +
                                "; run deploy/bootstrap --gpu, or set EQUIPOISE_DEVICE=cpu");
  }
  const void* entry = dlsym(handle, kGpuLibraryEntry);
  if (entry == nullptr) throw std::invalid_argument(file + " does not export " + kGpuLibraryEntry);
  return *static_cast<const GpuLibraryEntry*>(entry);
}

}  // namespace

DeviceCollective open_device(RankInfo local, Collective& host, std::chrono::seconds timeout) {
  const bool on_gpu = !wants_cpu() && std::filesystem::exists("/dev/nvidiactl");
  double ranks_on_gpu = on_gpu ? 1 : 0;
  host.all_reduce_sum(std::span(&ranks_on_gpu, 1));
  if (ranks_on_gpu == 0) return {};
  if (ranks_on_gpu != host.info().world_size) {
    throw std::invalid_argument(std::to_string(static_cast<int>(ranks_on_gpu)) + " of " +
                                std::to_string(host.info().world_size) +
                                " ranks have a GPU: give one to each, or keep all on the CPU with EQUIPOISE_DEVICE=cpu "
                                "(mpirun -x EQUIPOISE_DEVICE)");
  }
  const GpuLibraryEntry& library = load_gpu_library();
  const int devices = library.device_count();
  if (devices < local.world_size) {
    throw std::invalid_argument("this host has " + std::to_string(devices) + " GPUs and " +
                                std::to_string(local.world_size) +
                                " ranks: start one rank per GPU, or set EQUIPOISE_DEVICE=cpu");
  }
  std::array<char, 1024> error{};
  bool peer_failed = false;
  Collective* collective = library.make_nccl_collective(&host, local.rank, static_cast<long>(timeout.count()),
                                                        error.data(), error.size(), &peer_failed);
  if (collective == nullptr && peer_failed) throw PeerError(error.data());
  if (collective == nullptr) throw std::invalid_argument("cuda:" + std::to_string(local.rank) + ": " + error.data());
  DeviceCollective result;
  result.device = torch::Device(torch::kCUDA, static_cast<c10::DeviceIndex>(local.rank));
  result.over_gpu.reset(collective);
  return result;
}

}  // namespace equipoise
