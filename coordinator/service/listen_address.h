// Where the coordinator listens, HOST:PORT, and the address under which ranks reach it there.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "common/process/batch_system.h"
#include "coordinator/launch/hostfile.h"

namespace equipoise::coordinator {

struct ListenAddress {
  std::string host;  // an IPv6 address stands in brackets
  int port = 0;      // 0: any free one

  std::string text() const { return host + ":" + std::to_string(port); }
  // Only this machine can reach it.
  bool is_loopback() const;
  // Every interface of this machine.
  bool is_wildcard() const;
};

// Throws std::invalid_argument "`flag` is ..., expected HOST:PORT".
ListenAddress parse_listen_address(const std::string& flag, const std::string& text);

// Throws std::invalid_argument naming the flag where other machines can reach the address.
//   needed  what would let them, as the end of a sentence
void check_loopback(const std::string& flag, const ListenAddress& address, const std::string& needed);

// The address under which ranks reach the coordinator.

// --advertise as a host. Throws std::invalid_argument for one with a port, or that this machine cannot resolve.
std::string checked_advertise(const std::string& text);

// Where the coordinator runs its ranks and what it was told of its own address.
struct RankAddressSettings {
  std::optional<std::string> advertise;
  std::span<const HostSlots> hosts;
  Allocation allocation = Allocation::kIgnored;
  std::filesystem::path hostfile = {};  // where the hosts are from, for messages
};

// `listen` is a loopback address, without an --advertise, and a host is another machine, or none that this one knows:
// its ranks could never register. Throws std::invalid_argument naming the hostfile, the line, the host and what would
// be right.
void check_reachable(const RankAddressSettings& settings, const ListenAddress& listen);

// HOST:PORT: --advertise, else the host that is listened on; where that is every interface: this machine's address
// towards the first host that is another machine, its name where no host can be resolved or a batch system has them,
// and 127.0.0.1 where there is no other host.
std::string address_for_ranks(const RankAddressSettings& settings, const ListenAddress& bound);

}  // namespace equipoise::coordinator
