// Which GPU each rank of a host takes, from what the ranks see.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "common/collective/host_collective.h"

namespace equipoise {

// UUIDs of the GPUs that a rank sees, in the order of its device numbers. Schedulers differ: all ranks of a host see
// all GPUs, or each one its own (Slurm's --gpus-per-task), or some of them.
using VisibleDevices = std::vector<std::string>;

// The device number of each rank, such that no two ranks have the same GPU. Rank l takes its number l where it can.
// Throws std::invalid_argument if some rank sees no GPU or there are fewer GPUs than ranks.
std::vector<std::size_t> choose_devices(std::span<const VisibleDevices> seen_L);

// What every rank of `local` sees, in the order of the ranks. All of them call it together.
std::vector<VisibleDevices> gathered_devices(const VisibleDevices& mine, HostCollective& local);

}  // namespace equipoise
