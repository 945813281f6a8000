#include "coordinator/service/connected_socket.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include "common/base/descriptor.h"

namespace equipoise::coordinator {

std::optional<ino_t> socket_inode(int descriptor) {
  struct stat found {};
  if (::fstat(descriptor, &found) != 0 || !S_ISSOCK(found.st_mode)) return std::nullopt;
  return found.st_ino;
}

std::optional<ConnectionBytes> connection_bytes(int descriptor, ino_t inode) {
  constexpr int kTcp = 6;  // IPPROTO_TCP: its header has another tcp_info, without what is wanted
  if (socket_inode(descriptor) != inode) return std::nullopt;
  tcp_info info{};
  socklen_t length = sizeof(info);
  if (::getsockopt(descriptor, kTcp, TCP_INFO, &info, &length) != 0) return std::nullopt;
  if (length < offsetof(tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received)) return ConnectionBytes{};
  int unread = 0;  // whoever reads it may be late
  if (::ioctl(descriptor, SIOCINQ, &unread) != 0 || unread < 0) unread = 0;
  const auto waiting = std::min<std::uint64_t>(static_cast<std::uint64_t>(unread), info.tcpi_bytes_received);
  return ConnectionBytes{.received = info.tcpi_bytes_received - waiting, .taken = info.tcpi_bytes_acked};
}

// A descriptor of our own stays that of the connection whatever its owner does meanwhile.
void abort_connection(int descriptor, ino_t inode) {
  const Descriptor own(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
  const int connection = own.get() < 0 ? descriptor : own.get();
  if (socket_inode(connection) != inode) return;
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  if (::connect(connection, &nobody, sizeof(nobody)) != 0) ::shutdown(connection, SHUT_RDWR);
}

}  // namespace equipoise::coordinator
