#include "coordinator/store/state_room.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "common/base/descriptor.h"

namespace equipoise::coordinator {
namespace {

constexpr std::uint64_t kAlarmBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kAlarmPart = 50;  // 2 % is one fiftieth

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

// A sparse file, as of a copy of the folder, keeps nothing free.
bool holds_its_bytes(int descriptor) {
  constexpr std::uint64_t kBlock = 512;  // of st_blocks, whatever the file system's are
  struct stat file {};
  return ::fstat(descriptor, &file) == 0 && static_cast<std::uint64_t>(file.st_size) >= StateRoom::kReserveBytes &&
         static_cast<std::uint64_t>(file.st_blocks) * kBlock >= StateRoom::kReserveBytes;
}

}  // namespace

std::optional<DiskSpace> disk_space(const std::filesystem::path& path) {
  struct statvfs space {};
  if (::statvfs(path.c_str(), &space) != 0 || space.f_blocks == 0) return std::nullopt;
  const std::uint64_t total = std::uint64_t{space.f_blocks} * space.f_frsize;
  const bool has_no_files_left = space.f_files > 0 && space.f_favail == 0;  // however small
  const std::uint64_t blocks = ::geteuid() == 0 ? space.f_bfree : space.f_bavail;
  return DiskSpace{.free_bytes = has_no_files_left ? 0 : blocks * space.f_frsize, .total_bytes = total};
}

std::uint64_t alarm_bytes(const DiskSpace& space) { return std::max(kAlarmBytes, space.total_bytes / kAlarmPart); }

std::string space_text(const DiskSpace& space) {
  return bytes_text(space.free_bytes) + " free of " + bytes_text(space.total_bytes);
}

bool StateRoom::make_reserve() {
  const Descriptor file(::open((folder_ / kReserve).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (file.get() < 0) return false;
  const auto size = static_cast<off_t>(kReserveBytes);
  const bool is_made = holds_its_bytes(file.get()) || ::posix_fallocate(file.get(), 0, size) == 0;
  const auto left = space();
  if (is_made && (!left || left->free_bytes >= kRoomToGoOn)) return true;
  release_reserve();
  return false;
}

void StateRoom::release_reserve() {
  // By its name: truncate() takes no descriptor, of which there may be none left either.
  static_cast<void>(::truncate((folder_ / kReserve).c_str(), 0));
}

std::string StateRoom::space_sentence() const {
  const auto now = space();
  return now ? "; the disk of " + folder_.string() + " has " + space_text(*now) : "";
}

}  // namespace equipoise::coordinator
