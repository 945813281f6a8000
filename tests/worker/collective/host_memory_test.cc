#include "worker/collective/host_memory.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace host_memory_test {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

void write(const TempFolder& root, const std::string& name, const std::string& content) {
  std::filesystem::create_directories((root / name).parent_path());
  root.write(name, content);
}

// A machine with 8 GiB available.
void write_meminfo(const TempFolder& root) {
  write(root, "proc/meminfo",
        "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\n");
}

TEST(HostMemory, IsWhatTheKernelCallsAvailable) {
  const TempFolder root;
  write_meminfo(root);
  EXPECT_EQ(free_host_memory(root.path()), 8192 * kMebibyte);
  EXPECT_GT(free_host_memory("/"), 0U);
}

TEST(HostMemory, IsWhatTheTightestControlGroupLeaves) {
  const TempFolder root;
  write_meminfo(root);
  write(root, "proc/self/cgroup", "0::/batch/job7\n");
  write(root, "sys/fs/cgroup/batch/job7/memory.max", "max\n");
  write(root, "sys/fs/cgroup/batch/job7/memory.current", "1048576\n");
  EXPECT_EQ(free_host_memory(root.path()), 8192 * kMebibyte);
  write(root, "sys/fs/cgroup/batch/memory.max", std::to_string(100 * kMebibyte));
  write(root, "sys/fs/cgroup/batch/memory.current", std::to_string(60 * kMebibyte));
  EXPECT_EQ(free_host_memory(root.path()), 40 * kMebibyte);
}

TEST(HostMemory, IsNotKnownWhereNothingSaysIt) {
  const TempFolder root;
  EXPECT_EQ(free_host_memory(root.path()), 0U);
}

}  // namespace host_memory_test
}  // namespace equipoise
