// What LibTorch is asked to do: how many kernels run and how many tensors are copied, on whatever device.
#pragma once

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string_view>
#include <vector>

namespace equipoise {

struct OperatorCounts {
  // Operators that compute or copy; one that calls others counts as those do, and not itself.
  std::int64_t kernels = 0;
  std::int64_t copies = 0;  // of these: copies of a tensor into another, whatever for
  // Calls of to() that name a device, which on a GPU are copies between it and the host. Those of a backward pass only
  // change the type.
  std::int64_t floats_to_host = 0;      // floating numbers that become float64, as all do that the host reads
  std::int64_t floats_to_device = 0;    // other floating numbers: not told apart from the former in float64
  std::int64_t indices_to_device = 0;   // whole numbers
  std::vector<at::Tensor> token_lists;  // of each call of embedding(): of each forward pass

  // Lists of tokens that are not the same tensor's.
  std::int64_t different_token_lists() const {
    std::set<const void*> places;
    for (const at::Tensor& list : token_lists) places.insert(list.const_data_ptr());
    return static_cast<std::int64_t>(places.size());
  }
};

// Counts what all threads do while it lives; there is one at a time. The token lists are kept, so that no two have the
// same place in memory.
class OperatorCounter {
 public:
  OperatorCounter() {
    counted() = {};
    handle_ = at::addGlobalCallback(at::RecordFunctionCallback(&begin, &end)
                                        .needsInputs(true)
                                        .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
  }
  ~OperatorCounter() {
    at::removeCallback(handle_);
    counted() = {};
  }
  OperatorCounter(const OperatorCounter&) = delete;
  OperatorCounter& operator=(const OperatorCounter&) = delete;

  OperatorCounts counts() const {
    const std::lock_guard lock(mutex());
    return counted();
  }

 private:
  using Inputs = c10::ArrayRef<const c10::IValue>;

  static OperatorCounts& counted() {
    static OperatorCounts counts;  // under mutex()
    return counts;
  }
  static std::mutex& mutex() {
    static std::mutex mutex;
    return mutex;
  }
  // An operator, or a node of the backward pass, that this thread is in.
  struct Call {
    bool is_backward = false;  // or within a node
    bool has_kernel = false;   // one has run within it
  };
  static std::vector<Call>& open_calls() {
    thread_local std::vector<Call> open;
    return open;
  }

  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& call) {
    std::vector<Call>& open = open_calls();
    const bool is_backward =
        call.scope() == at::RecordScope::BACKWARD_FUNCTION || (!open.empty() && open.back().is_backward);
    open.push_back({.is_backward = is_backward});
    const std::string_view name = call.name();
    const std::lock_guard lock(mutex());
    if (name == "aten::embedding") counted().token_lists.push_back(call.inputs()[1].toTensor());
    if (name == "aten::to" && !is_backward) count_move(call.inputs());
    return nullptr;
  }

  static void end(const at::RecordFunction& call, at::ObserverContext*) {
    std::vector<Call>& open = open_calls();
    if (open.empty()) return;  // it began before we counted
    const bool has_kernel = open.back().has_kernel;
    open.pop_back();
    const bool is_kernel = !has_kernel && computes(call.name());
    if (!open.empty() && (is_kernel || has_kernel)) open.back().has_kernel = true;
    if (!is_kernel) return;
    const std::lock_guard lock(mutex());
    ++counted().kernels;
    if (std::string_view(call.name()) == "aten::copy_") ++counted().copies;
  }

  // to(self, device, dtype, ...) or to(self, dtype?, layout?, device?, ...)
  static void count_move(Inputs inputs) {
    const auto device = std::ranges::find_if(inputs, [](const c10::IValue& input) { return input.isDevice(); });
    if (device == inputs.end()) return;
    const c10::IValue& dtype = device == inputs.begin() + 1 ? inputs[2] : inputs[1];
    const bool becomes_double = dtype.isInt() && dtype.toScalarType() == at::kDouble;
    if (!inputs[0].toTensor().is_floating_point()) {
      ++counted().indices_to_device;
    } else {
      ++(becomes_double ? counted().floats_to_host : counted().floats_to_device);
    }
  }

  // Not those that make a view or take memory, nor a to() that had nothing to do.
  static bool computes(std::string_view name) {
    constexpr std::string_view kNoKernel[] = {
        "_reshape_alias",   "_unsafe_view", "alias",      "as_strided", "chunk",         "contiguous",
        "detach",           "detach_",      "empty",      "empty_like", "empty_strided", "expand",
        "expand_as",        "flatten",      "lift_fresh", "narrow",     "new_empty",     "permute",
        "reshape",          "resize_",      "select",     "set_",       "slice",         "split",
        "split_with_sizes", "squeeze",      "t",          "to",         "transpose",     "unbind",
        "unsqueeze",        "view"};
    if (!name.starts_with("aten::")) return false;
    return !std::ranges::binary_search(kNoKernel, name.substr(6));
  }

  at::CallbackHandle handle_;
};

}  // namespace equipoise
