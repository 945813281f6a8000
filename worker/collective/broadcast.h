// Texts and messages whose length only their sender knows, from one rank to all; whether all have the same data and
// models; and whether all have done something.
#pragma once

#include <functional>
#include <string>

#include "common/base/error.h"
#include "common/base/sha256.h"
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

// Returns on every rank once is_done() was true on all: however long one takes, no wait for another passes its deadline
// meanwhile.
void wait_until_all(HostCollective& host, const std::function<bool()>& is_done);

// Throws std::invalid_argument on a rank whose digest is not rank 0's. `what` names the thing: "training data".
void check_same_on_all_ranks(HostCollective& host, Digest digest, const std::string& what);

}  // namespace equipoise
