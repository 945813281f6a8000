#include "coordinator/job/slot_pool.h"

#include <algorithm>
#include <utility>

#include "common/base/error.h"

namespace equipoise::coordinator {
namespace {

int sum_of(const std::vector<HostSlots>& hosts) {
  int sum = 0;
  for (const HostSlots& host : hosts) sum += host.slots;
  return sum;
}

}  // namespace

SlotPool::SlotPool(std::vector<HostSlots> hosts, int most_workers)
    : hosts_(std::move(hosts)), free_(hosts_), most_workers_(most_workers), total_(sum_of(hosts_)) {}

int SlotPool::free() const { return used_slots(free_); }

SlotCounts SlotPool::counts() const {
  const int not_taken = sum_of(free_), usable = free();
  return {.free = std::max(usable, 0), .used = total_ - not_taken, .unavailable = std::max(not_taken - usable, 0)};
}

int SlotPool::used_slots(const std::vector<HostSlots>& taken) const {
  int sum = 0;
  for (const HostSlots& host : taken) sum += unused_.contains(host.name) ? 0 : host.slots;
  return sum;
}

std::string SlotPool::unschedulable_reason(int workers) const {
  const std::string given = "launch.workers is " + std::to_string(workers) + ", expected at most ";
  if (!hosts_.empty()) {
    if (workers <= total_) return "";
    return given + std::to_string(total_) + ": the hostfile has no more slots, on " + host_names(hosts_) +
           " (slots=N behind a host's name gives it N)";
  }
  if (workers <= most_workers_) return "";
  return given + std::to_string(most_workers_) + " on one machine; a coordinator with --hostfile uses more";
}

std::optional<std::vector<HostSlots>> SlotPool::allocate(int workers) {
  if (hosts_.empty()) return std::vector<HostSlots>{};
  if (workers > free()) return std::nullopt;
  std::vector<HostSlots> taken;
  const auto whole = std::ranges::find_if(
      free_, [&](const HostSlots& host) { return host.slots >= workers && !unused_.contains(host.name); });
  for (auto host = whole == free_.end() ? free_.begin() : whole; workers > 0; ++host) {
    const int slots = unused_.contains(host->name) ? 0 : std::min(workers, host->slots);
    if (slots <= 0) continue;
    taken.push_back({.name = host->name, .slots = slots});
    host->slots -= slots;
    workers -= slots;
  }
  return taken;
}

std::vector<HostSlots> SlotPool::take(const std::vector<HostSlots>& taken) {
  std::vector<HostSlots> known;
  for (const HostSlots& slots : taken) {
    const auto host = std::ranges::find(free_, slots.name, &HostSlots::name);
    if (host == free_.end()) continue;
    host->slots -= slots.slots;
    known.push_back(slots);
  }
  return known;
}

void SlotPool::release(const std::vector<HostSlots>& taken) {
  for (const HostSlots& slots : taken) {
    const auto host = std::ranges::find(free_, slots.name, &HostSlots::name);
    EQUIPOISE_CHECK(host != free_.end());
    host->slots += slots.slots;
  }
}

}  // namespace equipoise::coordinator
