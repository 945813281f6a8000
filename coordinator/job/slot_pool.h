// Which slots of the hosts are taken, so that no two jobs are put onto the same ones.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/launch/hostfile.h"
#include "coordinator/metrics/job_metrics.h"

namespace equipoise::coordinator {

// Not thread-safe.
class SlotPool {
 public:
  // No hosts: all ranks run on this machine, whose slots are not counted, `most_workers` of a job at most; or on nodes
  // that mpirun finds by itself.
  SlotPool(std::vector<HostSlots> hosts, int most_workers);

  int total() const { return total_; }
  int free() const;  // of hosts that are used
  SlotCounts counts() const;
  // Hosts that get no more ranks until they are left out here; what is taken of them is released as ever.
  void set_unused(std::set<std::string> hosts) { unused_ = std::move(hosts); }
  // Of `taken`, what is free again and used once it is released.
  int used_slots(const std::vector<HostSlots>& taken) const;
  // Why a job of so many ranks can never start; empty: it can.
  std::string unschedulable_reason(int workers) const;
  // Slots for a job's ranks: of one host if there is one with room for all, else of the hosts in their order. nullopt:
  // too few are free now. Without hosts: an empty list.
  std::optional<std::vector<HostSlots>> allocate(int workers);
  // Slots that ranks of an earlier coordinator have, also where a host has fewer by now. Returns those that are to be
  // released: of hosts that are there.
  std::vector<HostSlots> take(const std::vector<HostSlots>& taken);
  void release(const std::vector<HostSlots>& taken);

 private:
  const std::vector<HostSlots> hosts_;
  std::vector<HostSlots> free_;  // in the same order; a host may have 0, or fewer after take()
  std::set<std::string> unused_;
  const int most_workers_;
  int total_ = 0;
};

}  // namespace equipoise::coordinator
