// Why an attempt did not come together in time, in one sentence for people.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "coordinator/launch/hostfile.h"
#include "coordinator/membership/membership.h"

namespace equipoise::coordinator {

// The host of each rank in `hosts`, which ranks fill in their order; empty where hosts are not known.
std::string host_of_rank(const std::vector<HostSlots>& hosts, int rank);

// "rank 0 on node1 and ranks 1 to 8 on node2 have not registered within 120 s: ...". At least one is missing.
std::string missing_ranks_text(const Membership& members, const std::vector<HostSlots>& hosts,
                               std::chrono::seconds waited);

// Hosts on which ranks may still run, when nobody could ask: "node1, node2". Empty: none.
std::string unconfirmed_hosts(const Membership& members, const std::vector<HostSlots>& hosts);

}  // namespace equipoise::coordinator
