// Texts and messages whose length only their sender knows, from one rank to all.
#pragma once

#include <string>

#include "common/base/error.h"
#include "common/collective/host_collective.h"

namespace equipoise {

// `text` of `root` to every rank, in place of what is there: first its size, then its bytes.
void broadcast_text(std::string& text, int root, HostCollective& ranks);

// The same for a protobuf message, whose fields all ranks then have.
template <class Message>
void broadcast_message(Message& message, int root, HostCollective& ranks) {
  std::string bytes;
  if (ranks.info().rank == root) bytes = message.SerializeAsString();
  broadcast_text(bytes, root, ranks);
  EQUIPOISE_CHECK(message.ParseFromString(bytes));
}

}  // namespace equipoise
