#include "worker/collective/device_choice.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <stdexcept>

#include "worker/collective/broadcast.h"

namespace equipoise {
namespace {

// The first driver of each CUDA major version that this project has been built with.
constexpr int kFirstDriverOfCuda13 = 580;

constexpr char kOrCpu[] = ", or set EQUIPOISE_DEVICE=cpu";

struct Version {
  int major = 0, minor = 0, patch = 0;
  std::string text() const { return std::to_string(major) + "." + std::to_string(minor); }
  std::string whole_text() const { return text() + "." + std::to_string(patch); }
};

Version cuda_version(int code) { return {code / 1000, code % 1000 / 10, code % 10}; }
Version nccl_version(int code) { return {code / 10000, code / 100 % 100, code % 100}; }
Version cudnn_version(int code) { return {code / 10000, code / 100 % 100, code % 100}; }

bool fits(const Version& loaded, const Version& compiled) {
  return loaded.major == compiled.major && loaded.minor >= compiled.minor;
}

std::string library_complaint(const std::string& name, const Version& loaded, const Version& compiled) {
  return "the dynamic loader took " + name + " " + loaded.whole_text() + ", but this build was made with " +
         compiled.whole_text() + ": take the folder of the other one out of LD_LIBRARY_PATH";
}

}  // namespace

GpuSurroundings gpu_surroundings() {
  GpuSurroundings around;
  std::ifstream file("/proc/driver/nvidia/version");
  around.driver = driver_version(std::string(std::istreambuf_iterator<char>(file), {}));
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) around.visible_devices = visible;
  return around;
}

std::string driver_version(const std::string& text) {
  // "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 ...", or "... Open Kernel Module for x86_64
  // 580.65".
  static const std::regex kVersion(R"(NVRM version:[^\n]*?\s(\d+\.\d+(\.\d+)?)\s)");
  std::smatch found;
  return std::regex_search(text, found, kVersion) ? found[1].str() : std::string();
}

std::string version_complaint(const GpuVersions& versions, const GpuSurroundings& around) {
  const Version driver = cuda_version(versions.cuda_driver), cuda = cuda_version(versions.cuda_compiled);
  // A driver serves every minor version of its CUDA.
  if (versions.cuda_driver != 0 && driver.major < cuda.major) {
    const std::string named = around.driver.empty() ? "the NVIDIA driver" : "the NVIDIA driver " + around.driver;
    return named + " offers CUDA " + driver.text() + ", but this build needs CUDA " + cuda.text() +
           (cuda.major == 13 ? " (driver " + std::to_string(kFirstDriverOfCuda13) + " or newer)" : "") +
           ": update the driver" + kOrCpu;
  }
  if (versions.cuda_loaded != 0 && !fits(cuda_version(versions.cuda_loaded), cuda)) {
    return library_complaint("libcudart", cuda_version(versions.cuda_loaded), cuda);
  }
  const Version nccl = nccl_version(versions.nccl_compiled), cudnn = cudnn_version(versions.cudnn_compiled);
  if (versions.nccl_loaded != 0 && !fits(nccl_version(versions.nccl_loaded), nccl)) {
    return library_complaint("libnccl", nccl_version(versions.nccl_loaded), nccl);
  }
  if (versions.cudnn_loaded != 0 && versions.cudnn_compiled != 0 &&
      !fits(cudnn_version(versions.cudnn_loaded), cudnn)) {
    return library_complaint("libcudnn", cudnn_version(versions.cudnn_loaded), cudnn);
  }
  return {};
}

std::string no_device_text(const GpuVersions& versions, const GpuSurroundings& around) {
  const std::string complaint = version_complaint(versions, around);
  if (!complaint.empty()) return complaint;
  const std::string driver = around.driver.empty() ? "an NVIDIA driver" : "the NVIDIA driver " + around.driver;
  if (around.visible_devices && around.visible_devices->empty()) {
    return "CUDA_VISIBLE_DEVICES is empty, which hides every GPU of this machine: unset it" + std::string(kOrCpu);
  }
  if (around.visible_devices) {
    return "CUDA_VISIBLE_DEVICES=" + *around.visible_devices +
           " names no GPU of this machine (nvidia-smi -L lists them): correct it" + kOrCpu;
  }
  return "this machine has " + driver + ", but a process sees no GPU (nvidia-smi -L should list one): see to " +
         "the device files in /dev/nvidia*" + kOrCpu;
}

namespace {

constexpr char kSeparator = '\n';  // between UUIDs on their way

// A matching of ranks and GPUs, one rank after the other: a GPU that is taken is given up by its rank if that finds
// another one.
class Matching {
 public:
  explicit Matching(std::span<const VisibleDevices> seen_L) : seen_L_(seen_L), number_L_(seen_L.size()) {}

  bool add(std::size_t rank) {
    asked_.clear();
    return find(rank);
  }
  const std::vector<std::size_t>& numbers() const { return number_L_; }

 private:
  bool find(std::size_t rank) {
    const VisibleDevices& seen = seen_L_[rank];
    for (std::size_t i = 0; i < seen.size(); ++i) {
      const std::size_t number = (rank + i) % seen.size();
      if (!asked_.insert(seen[number]).second) continue;
      const auto taken = rank_of_.find(seen[number]);
      if (taken != rank_of_.end() && !find(taken->second)) continue;
      rank_of_[seen[number]] = rank;
      number_L_[rank] = number;
      return true;
    }
    return false;
  }

  std::span<const VisibleDevices> seen_L_;
  std::vector<std::size_t> number_L_;
  std::map<std::string, std::size_t> rank_of_;
  std::set<std::string> asked_;
};

std::string counted(std::size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

std::vector<std::size_t> choose_devices(std::span<const VisibleDevices> seen_L) {
  std::set<std::string> distinct;
  for (std::size_t rank = 0; rank < seen_L.size(); ++rank) {
    if (seen_L[rank].empty()) {
      throw std::invalid_argument("local rank " + std::to_string(rank) +
                                  " sees no GPU: give one to each rank, or set EQUIPOISE_DEVICE=cpu for all of them");
    }
    distinct.insert(seen_L[rank].begin(), seen_L[rank].end());
  }
  Matching matching(seen_L);
  for (std::size_t rank = 0; rank < seen_L.size(); ++rank) {
    if (matching.add(rank)) continue;
    throw std::invalid_argument("the " + counted(seen_L.size(), "rank") + " of this host see " +
                                counted(distinct.size(), "GPU") +
                                " and cannot have one each: start one rank per GPU, or set EQUIPOISE_DEVICE=cpu");
  }
  return matching.numbers();
}

std::vector<VisibleDevices> gathered_devices(const VisibleDevices& mine, HostCollective& local) {
  std::vector<VisibleDevices> seen_L;
  const RankInfo info = local.info();
  for (int rank = 0; rank < info.world_size; ++rank) {
    std::string text;
    if (rank == info.rank) {
      for (const std::string& uuid : mine) text += uuid + kSeparator;
    }
    broadcast_text(text, rank, local);
    VisibleDevices devices;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = text.find(kSeparator, begin);
      devices.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    seen_L.push_back(std::move(devices));
  }
  return seen_L;
}

}  // namespace equipoise
