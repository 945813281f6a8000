#include "worker/language_model/device_advice.h"

#include <c10/util/Exception.h>

#include <array>
#include <cstdio>
#include <new>
#include <regex>

#include "equipoise/v1/job.pb.h"

namespace equipoise {
namespace {

constexpr double kNear = 0.9;  // of what is free

std::string gigabytes(double bytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), bytes < 1e8 ? "%.3f GB" : "%.1f GB", bytes / 1e9);
  return text.data();
}
std::string gigabytes(std::int64_t bytes) { return gigabytes(static_cast<double>(bytes)); }

std::string dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
      return "float64";
    case DType::kBFloat16:
      return "bfloat16";
    case DType::kFloat32:
      break;
  }
  return "float32";
}

// Settings that take less memory than the job's, most telling first: "A, B or C".
std::string smaller_settings(const JobConfig& config) {
  std::vector<std::string> ways = {"training.micro_batch_tokens below " +
                                   std::to_string(config.training.micro_batch_tokens)};
  if (!config.training.gradient_checkpointing) ways.emplace_back("training.gradient_checkpointing: true");
  if (config.model.dtype != DType::kBFloat16) ways.emplace_back("model.dtype: bfloat16");
  if (!config.model.lora && !config.model.adapter) ways.emplace_back("an adapter (model.lora)");
  std::string text = ways.front();
  for (std::size_t i = 1; i < ways.size(); ++i) text += (i + 1 == ways.size() ? " or " : ", ") + ways[i];
  return text;
}

// What LibTorch's allocators say, in their own words: on a GPU "Tried to allocate 2.00 GiB. GPU 0 has a total capacity
// of 139.81 GiB of which 1.10 GiB is free.", in host memory "you tried to allocate 123 bytes".
std::string allocation_text(const std::string& message) {
  static const std::regex kGpu(R"(Tried to allocate ([\d.]+ \w+))"), kFree(R"(of which ([\d.]+ \w+) is free)");
  static const std::regex kHost(R"(tried to allocate (\d+) bytes)");
  std::smatch found;
  if (std::regex_search(message, found, kGpu)) {
    std::string text = found[1].str() + " more were wanted";
    if (std::regex_search(message, found, kFree)) text += " and " + found[1].str() + " were free";
    return text;
  }
  if (std::regex_search(message, found, kHost)) return gigabytes(std::stod(found[1].str())) + " more were wanted";
  return "";
}

// Where and how much, "the GPU's memory is used up (...)"; nothing for another failure.
std::optional<std::string> used_up(const std::exception& failure) {
  const auto* const of_torch = dynamic_cast<const c10::Error*>(&failure);
  const std::string message = of_torch != nullptr ? of_torch->what_without_backtrace() : failure.what();
  const bool on_gpu = dynamic_cast<const c10::OutOfMemoryError*>(&failure) != nullptr;
  // LibTorch has no exception of its own for host memory.
  const bool on_host = dynamic_cast<const std::bad_alloc*>(&failure) != nullptr ||
                       (of_torch != nullptr && message.find("DefaultCPUAllocator") != std::string::npos);
  if (!on_gpu && !on_host) return std::nullopt;
  const std::string amount = allocation_text(message);
  return std::string(on_gpu ? "the GPU's memory" : "this machine's memory") + " is used up" +
         (amount.empty() ? "" : " (" + amount + ")");
}

}  // namespace

std::string memory_warning(const MemoryEstimate& estimate, std::size_t free_bytes, const std::string& device,
                           const JobConfig& config) {
  const auto free = static_cast<double>(free_bytes), peak = static_cast<double>(estimate.peak());
  if (free_bytes == 0 || peak <= kNear * free) return {};
  const std::string parts =
      estimate.peak() > estimate.training()
          ? "policy " + gigabytes(estimate.weights) + " and reference " + gigabytes(estimate.reference)
          : "weights " + gigabytes(estimate.weights) + ", gradients " + gigabytes(estimate.gradients) + ", optimiser " +
                gigabytes(estimate.optimizer) + ", activations of a micro-batch about " +
                gigabytes(estimate.activations);
  return "this job wants about " + gigabytes(peak) + " of memory on each rank (" + parts + ") and " + device + " has " +
         gigabytes(free) + " free: it " + (peak > free ? "will probably not fit" : "may not fit") +
         "; less is taken by " + smaller_settings(config);
}

std::string dtype_warning(DType dtype, const std::string& device) {
  if (!device.starts_with("cuda") || dtype == DType::kBFloat16) return {};
  return "model.dtype is " + dtype_name(dtype) + ": on a GPU model.dtype: bfloat16 computes 10 to 15 times as fast";
}

std::optional<std::invalid_argument> out_of_memory(const std::exception& failure, const JobConfig& config) {
  const auto what = used_up(failure);
  if (!what || config.log_linear) return std::nullopt;
  return std::invalid_argument(
      *what + ": training.micro_batch_tokens is " + std::to_string(config.training.micro_batch_tokens) +
      ", training.gradient_checkpointing " + (config.training.gradient_checkpointing ? "true" : "false") +
      ", model.dtype " + dtype_name(config.model.dtype) + "; less is taken by " + smaller_settings(config));
}

std::optional<std::invalid_argument> out_of_memory_of_evaluation(const std::exception& failure) {
  const auto what = used_up(failure);
  if (!what) return std::nullopt;
  return std::invalid_argument(*what + ": less is taken by a smaller --micro-batch-tokens or --dtype bfloat16");
}

}  // namespace equipoise
