// A file system that does not answer.
#pragma once

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

namespace equipoise::coordinator {

// A real one, in `folder`, which is made: FUSE, whose server takes no request. Only this process, and threads and
// programs that it starts from now on, see it. Needs root.
class HungDisk {
 public:
  explicit HungDisk(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
    server_ = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (server_ < 0) return;
    const std::string options = "fd=" + std::to_string(server_) + ",rootmode=40000,user_id=0,group_id=0";
    is_mounted_ = ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                  ::mount("hung", folder_.c_str(), "fuse", 0, options.c_str()) == 0;
    is_there_ = is_mounted_ && begin();
  }
  ~HungDisk() {
    fail();
    if (is_mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  HungDisk(const HungDisk&) = delete;
  HungDisk& operator=(const HungDisk&) = delete;

  bool is_there() const { return is_there_; }
  // Returns once somebody waits for an answer, and gives none.
  void take_request() const {
    await_request();
    read_request();
  }
  // Who waits is told that the disk is not there any more, as is whoever asks from now on.
  void fail() {
    if (server_ >= 0) ::close(std::exchange(server_, -1));
  }

 private:
  void await_request() const {
    pollfd request{.fd = server_, .events = POLLIN, .revents = 0};
    while (::poll(&request, 1, -1) < 1) {
    }
  }
  fuse_in_header read_request() const {
    alignas(fuse_in_header) std::array<char, FUSE_MIN_READ_BUFFER * 2> bytes{};
    fuse_in_header header{};
    const ssize_t read = ::read(server_, bytes.data(), bytes.size());
    if (read >= static_cast<ssize_t>(sizeof(header))) std::copy_n(bytes.data(), sizeof(header), as_bytes(header));
    return header;
  }
  // The one answer that it gives, without which no request is sent.
  bool begin() const {
    await_request();
    const fuse_in_header asked = read_request();
    struct {
      fuse_out_header header{};
      fuse_init_out init{};
    } answer;
    answer.header.len = sizeof(answer);
    answer.header.unique = asked.unique;
    answer.init.major = FUSE_KERNEL_VERSION;
    answer.init.minor = FUSE_KERNEL_MINOR_VERSION;
    answer.init.max_write = 4096;
    answer.init.max_background = 16;
    return asked.opcode == FUSE_INIT && ::write(server_, &answer, sizeof(answer)) == sizeof(answer);
  }
  static char* as_bytes(fuse_in_header& header) { return reinterpret_cast<char*>(&header); }

  std::filesystem::path folder_;
  int server_ = -1;  // on which the kernel sends requests
  bool is_mounted_ = false, is_there_ = false;
};

}  // namespace equipoise::coordinator
