#include "worker/collective/host_resources.h"

#include <sched.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "common/base/environment.h"

namespace equipoise {
namespace {

std::optional<std::size_t> available_of_meminfo(const std::filesystem::path& file) {
  std::ifstream lines(file);
  std::string name;
  std::size_t kilobytes = 0;
  for (std::string rest; lines >> name; std::getline(lines, rest)) {
    if (name == "MemAvailable:" && lines >> kilobytes) return kilobytes * 1024;
  }
  return std::nullopt;
}

// A number; nothing for "max" or where there is no such file.
std::optional<std::size_t> number_in(const std::filesystem::path& file) {
  std::size_t number = 0;
  return std::ifstream(file) >> number ? std::optional(number) : std::nullopt;
}

// "/a/b" of the line "0::/a/b".
std::string control_group(const std::filesystem::path& file) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0::/")) return line.substr(3);
  }
  return "/";
}

}  // namespace

std::size_t free_host_memory(const std::filesystem::path& root) {
  const auto available = available_of_meminfo(root / "proc/meminfo");
  std::size_t left = available.value_or(std::numeric_limits<std::size_t>::max());
  bool is_known = available.has_value();
  std::filesystem::path group = control_group(root / "proc/self/cgroup");
  while (true) {
    const auto folder = root / "sys/fs/cgroup" / group.relative_path();
    const auto most = number_in(folder / "memory.max"), taken = number_in(folder / "memory.current");
    if (most && taken) {
      left = std::min(left, *most > *taken ? *most - *taken : 0);
      is_known = true;
    }
    if (group == "/" || group.empty()) break;
    group = group.parent_path();
  }
  return is_known ? left : 0;
}

int threads_of_shares(std::span<const double> ranks_C) {
  double cores = 0;
  for (const double ranks : ranks_C) {
    if (ranks > 0) cores += 1 / ranks;
  }
  // A third of three cores is one core, whatever its last bit says.
  return std::max(1, static_cast<int>(cores + 1e-6));
}

int threads_per_rank(HostCollective& local) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  std::array<double, CPU_SETSIZE> ranks_C{};
  const bool is_known = sched_getaffinity(0, sizeof(cores), &cores) == 0;
  for (std::size_t core = 0; is_known && core < ranks_C.size(); ++core) ranks_C[core] = CPU_ISSET(core, &cores) ? 1 : 0;
  const std::array<double, CPU_SETSIZE> mine_C = ranks_C;
  local.all_reduce_sum(ranks_C);
  for (std::size_t core = 0; core < ranks_C.size(); ++core) ranks_C[core] *= mine_C[core];
  return thread_setting() ? torch::get_num_threads() : threads_of_shares(ranks_C);
}

}  // namespace equipoise
