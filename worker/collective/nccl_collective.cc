// The one file that sees CUDA and NCCL; libequipoise_gpu.so is made of it.
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <nccl.h>
#include <torch/types.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <thread>

#include "common/base/error.h"
#include "worker/collective/gpu_library.h"

namespace equipoise {
namespace {

void check_nccl(ncclResult_t code, const char* operation) {
  if (code == ncclSuccess || code == ncclInProgress) return;
  throw PeerError(std::string(operation) + " over NCCL failed: " + ncclGetErrorString(code));
}

// A point in a stream.
class Event {
 public:
  Event() { C10_CUDA_CHECK(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(const c10::cuda::CUDAStream& stream) { C10_CUDA_CHECK(cudaEventRecord(event_, stream.stream())); }
  void block(const c10::cuda::CUDAStream& stream) const {
    C10_CUDA_CHECK(cudaStreamWaitEvent(stream.stream(), event_, 0));
  }
  bool passed() const {
    const cudaError_t state = cudaEventQuery(event_);
    if (state == cudaErrorNotReady) {
      static_cast<void>(cudaGetLastError());
      return false;
    }
    C10_CUDA_CHECK(state);
    return true;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

// A communicator and its stream. Non-blocking, so that a peer that is gone is seen at a deadline and not never.
class Communicator {
 public:
  Communicator(const ncclUniqueId& id, RankInfo info, int device, WaitLimit limit)
      : info_(info), limit_(limit), stream_(c10::cuda::getStreamFromPool(true, static_cast<c10::DeviceIndex>(device))) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    check_nccl(ncclCommInitRankConfig(&communicator_, info.world_size, id, info.rank, &config), "joining");
    settle("joining");
  }
  // While an exception is on its way the peers may be gone, and an abort may wait for them without end: the process
  // ends soon, and takes the communicator with it.
  ~Communicator() {
    if (std::uncaught_exceptions() == 0) ncclCommAbort(communicator_);
  }
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  ncclComm_t get() const { return communicator_; }
  const c10::cuda::CUDAStream& stream() const { return stream_; }

  // Returns when the last call has been enqueued.
  void settle(const char* operation) const {
    wait_until(operation, [&] {
      ncclResult_t state = ncclSuccess;
      check_nccl(ncclCommGetAsyncError(communicator_, &state), operation);
      check_nccl(state, operation);
      return state == ncclSuccess;
    });
  }

  // Returns when `event` has passed; meanwhile looks for errors of the peers.
  void finish(const Event& event, const char* operation) const {
    wait_until(operation, [&] {
      ncclResult_t state = ncclSuccess;
      check_nccl(ncclCommGetAsyncError(communicator_, &state), operation);
      check_nccl(state, operation);
      return event.passed();
    });
  }

 private:
  template <typename Done>
  void wait_until(const char* operation, Done done) const {
    const auto start = std::chrono::steady_clock::now();
    while (!done()) {
      std::this_thread::yield();
      if (limit_.is_over(start)) {
        throw PeerError("rank " + std::to_string(info_.rank) + " waited " + std::to_string(limit_.usual().count()) +
                        " s for the other ranks in " + operation + " over NCCL");
      }
    }
  }

  RankInfo info_;
  WaitLimit limit_;
  c10::cuda::CUDAStream stream_;
  ncclComm_t communicator_ = nullptr;
};

class NcclSum : public PendingSum {
 public:
  NcclSum(const Communicator& communicator, torch::Tensor tensor)
      : communicator_(communicator), tensor_(std::move(tensor)) {
    done_.record(communicator.stream());
  }
  void wait() override {
    communicator_.finish(done_, "all_reduce_sum of gradients");
    done_.block(c10::cuda::getCurrentCUDAStream(tensor_.device().index()));
  }

 private:
  const Communicator& communicator_;
  torch::Tensor tensor_;
  Event done_;
};

class NcclCollective : public Collective {
 public:
  NcclCollective(Collective& host, int device, WaitLimit limit)
      : info_(host.info()),
        guard_(static_cast<c10::DeviceIndex>(device)),
        device_(torch::kCUDA, static_cast<c10::DeviceIndex>(device)),
        communicator_(shared_id(host), info_, device, limit) {}

  RankInfo info() const override { return info_; }

  void all_reduce_sum(std::span<double> values) override {
    torch::Tensor staged = stage(std::as_writable_bytes(values));
    const c10::cuda::CUDAStreamGuard on_stream(communicator_.stream());
    check_nccl(ncclAllReduce(staged.data_ptr(), staged.data_ptr(), values.size(), ncclDouble, ncclSum,
                             communicator_.get(), communicator_.stream().stream()),
               "all_reduce_sum");
    unstage(staged, std::as_writable_bytes(values), "all_reduce_sum");
  }

  std::unique_ptr<PendingSum> start_all_reduce_sum(torch::Tensor tensor) override {
    EQUIPOISE_CHECK(tensor.is_contiguous() && tensor.device() == device_);
    const ncclDataType_t type = tensor.scalar_type() == torch::kFloat64 ? ncclDouble : ncclFloat;
    EQUIPOISE_CHECK(type == ncclDouble || tensor.scalar_type() == torch::kFloat32);
    Event ready;
    ready.record(c10::cuda::getCurrentCUDAStream(device_.index()));
    ready.block(communicator_.stream());
    check_nccl(ncclAllReduce(tensor.data_ptr(), tensor.data_ptr(), static_cast<std::size_t>(tensor.numel()), type,
                             ncclSum, communicator_.get(), communicator_.stream().stream()),
               "all_reduce_sum of gradients");
    communicator_.settle("all_reduce_sum of gradients");
    return std::make_unique<NcclSum>(communicator_, std::move(tensor));
  }

  void broadcast(std::span<std::byte> bytes, int root) override {
    torch::Tensor staged = stage(bytes);
    const c10::cuda::CUDAStreamGuard on_stream(communicator_.stream());
    check_nccl(ncclBroadcast(staged.data_ptr(), staged.data_ptr(), bytes.size(), ncclUint8, root, communicator_.get(),
                             communicator_.stream().stream()),
               "broadcast");
    unstage(staged, bytes, "broadcast");
  }

 private:
  static ncclUniqueId shared_id(Collective& host) {
    ncclUniqueId id{};
    if (host.info().rank == 0) check_nccl(ncclGetUniqueId(&id), "making an id");
    host.broadcast(std::as_writable_bytes(std::span(&id, 1)), 0);
    return id;
  }

  torch::Tensor stage(std::span<const std::byte> bytes) {
    const c10::cuda::CUDAStreamGuard on_stream(communicator_.stream());
    const auto size = static_cast<std::int64_t>(bytes.size());
    torch::Tensor host = torch::empty({size}, torch::kUInt8);
    std::memcpy(host.data_ptr(), bytes.data(), bytes.size());
    return host.to(device_);
  }

  void unstage(const torch::Tensor& staged, std::span<std::byte> bytes, const char* operation) {
    communicator_.settle(operation);
    Event done;
    done.record(communicator_.stream());
    communicator_.finish(done, operation);
    const torch::Tensor host = staged.to(torch::kCPU);
    std::memcpy(bytes.data(), host.data_ptr(), bytes.size());
  }

  RankInfo info_;
  c10::cuda::CUDAGuard guard_;
  torch::Device device_;
  Communicator communicator_;
};

int device_count() { return static_cast<int>(c10::cuda::device_count()); }

GpuVersions versions() {
  GpuVersions result{.cuda_compiled = CUDART_VERSION, .nccl_compiled = NCCL_VERSION_CODE};
  // Each stays 0 where it cannot be asked.
  static_cast<void>(cudaDriverGetVersion(&result.cuda_driver));
  static_cast<void>(cudaRuntimeGetVersion(&result.cuda_loaded));
  static_cast<void>(ncclGetVersion(&result.nccl_loaded));
  const at::CUDAHooksInterface& hooks = at::detail::getCUDAHooks();
  if (hooks.compiledWithCuDNN()) {
    result.cudnn_compiled = static_cast<int>(hooks.versionCuDNN());
    result.cudnn_loaded = static_cast<int>(hooks.versionRuntimeCuDNN());
  }
  return result;
}

bool describe(int device, GpuDevice* result) {
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) return false;
  std::snprintf(result->name.data(), result->name.size(), "%s", properties.name);
  char* end = result->uuid.data();
  for (const char byte : properties.uuid.bytes) end += std::snprintf(end, 3, "%02x", static_cast<unsigned char>(byte));
  return true;
}

std::size_t free_bytes(int device) {
  const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
  std::size_t free = 0, total = 0;
  return cudaMemGetInfo(&free, &total) == cudaSuccess ? free : 0;
}

Collective* make_nccl_collective(Collective* host, int device, const WaitLimit* limit, char* error, std::size_t size,
                                 bool* peer_failed) {
  try {
    return new NcclCollective(*host, device, *limit);
  } catch (const std::exception& failure) {
    *peer_failed = dynamic_cast<const PeerError*>(&failure) != nullptr;
    std::snprintf(error, size, "%s", failure.what());
    return nullptr;
  }
}

}  // namespace
}  // namespace equipoise

extern "C" __attribute__((visibility("default"))) const equipoise::GpuLibraryEntry equipoise_gpu_library = {
    .device_count = equipoise::device_count,
    .versions = equipoise::versions,
    .describe = equipoise::describe,
    .free_bytes = equipoise::free_bytes,
    .make_nccl_collective = equipoise::make_nccl_collective,
};
