// What the kernel knows of a connection that somebody else reads and closes, as gRPC does.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace equipoise::coordinator {

// Of a socket; no two have the same. Absent: `descriptor` is none, or none any more.
std::optional<ino_t> socket_inode(int descriptor);

struct ConnectionBytes {
  std::uint64_t received = 0;  // and read; without some of those that come while this is asked for
  std::uint64_t taken = 0;     // that the other end has taken
};

// Absent: `descriptor` is not that connection any more.
std::optional<ConnectionBytes> connection_bytes(int descriptor, ino_t inode);

// Ends the connection, and what it has received and nobody has read is gone: its owner reads no more, and closes it.
// Nothing where `descriptor` is not that connection any more. From any thread.
void abort_connection(int descriptor, ino_t inode);

}  // namespace equipoise::coordinator
