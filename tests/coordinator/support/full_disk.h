// Disks that take nothing more.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

namespace equipoise::coordinator {

// While it lives, no file of this process takes a byte: writes fail, and what is there can be read and cut.
class RefusingDisk {
 public:
  RefusingDisk() : signal_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  ~RefusingDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, signal_);
  }
  RefusingDisk(const RefusingDisk&) = delete;
  RefusingDisk& operator=(const RefusingDisk&) = delete;

 private:
  rlimit before_{};
  void (*signal_)(int);
};

// A real file system of a few MiB in `folder`, which is made. Only this process, and threads and programs that it
// starts from now on, see it. Needs root.
class SmallDisk {
 public:
  SmallDisk(std::filesystem::path folder, std::size_t bytes) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
    const std::string size = "size=" + std::to_string(bytes);
    is_there_ = ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                ::mount("none", folder_.c_str(), "tmpfs", 0, size.c_str()) == 0;
  }
  ~SmallDisk() {
    if (is_there_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool is_there() const { return is_there_; }
  // Until no byte is free, also after some became free.
  void fill() const {
    const int file = ::open(filler().c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    const std::array<char, 4096> page{};
    struct statvfs space {};
    do {
      while (::write(file, page.data(), page.size()) > 0) {
      }
    } while (::statvfs(folder_.c_str(), &space) == 0 && space.f_bfree > 0);
    ::close(file);
  }
  void drain() const { std::filesystem::remove(filler()); }

 private:
  std::filesystem::path filler() const { return folder_ / "filler"; }

  std::filesystem::path folder_;
  bool is_there_ = false;
};

}  // namespace equipoise::coordinator
