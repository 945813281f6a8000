#include "coordinator/job/missing_ranks.h"

#include <algorithm>

#include "common/base/network_interfaces.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kMostParts = 8;

// Neighbouring ranks of one host.
struct RankRange {
  int first, last;
  std::string host;  // empty: not known
};

std::vector<RankRange> ranges_of(const std::vector<int>& ranks, const std::vector<HostSlots>& hosts) {
  std::vector<RankRange> ranges;
  for (const int rank : ranks) {
    const std::string host = host_of_rank(hosts, rank);
    const bool goes_on = !ranges.empty() && ranges.back().last == rank - 1 && ranges.back().host == host;
    if (goes_on) {
      ranges.back().last = rank;
    } else {
      ranges.push_back({.first = rank, .last = rank, .host = host});
    }
  }
  return ranges;
}

std::string text_of(const RankRange& range) {
  std::string text = range.first == range.last
                         ? "rank " + std::to_string(range.first)
                         : "ranks " + std::to_string(range.first) + " to " + std::to_string(range.last);
  if (!range.host.empty()) text += " on " + range.host;
  return text;
}

}  // namespace

std::string host_of_rank(const std::vector<HostSlots>& hosts, int rank) {
  for (const HostSlots& host : hosts) {
    if (rank < host.slots) return host.name;
    rank -= host.slots;
  }
  return "";
}

std::string missing_ranks_text(const Membership& members, const std::vector<HostSlots>& hosts,
                               std::chrono::seconds waited) {
  const std::vector<int> missing = members.missing();
  const std::vector<RankRange> ranges = ranges_of(missing, hosts);
  std::string text;
  for (std::size_t i = 0; i < std::min(ranges.size(), kMostParts); ++i) {
    text += (i == 0 ? "" : ", ") + text_of(ranges[i]);
  }
  if (ranges.size() > kMostParts) text += " and others";
  text += missing.size() == 1 ? " has" : " have";
  text += " not registered within " + std::to_string(waited.count()) + " s";
  if (members.world_size() == 1 && hosts.empty()) return text + " (launch.start_timeout_seconds)";
  return text + ": all hosts and this one (" + network_interfaces_text() +
         ") must reach each other over TCP; check their firewalls, and which network Open MPI takes where a host has "
         "several interfaces (launch.mpi_options: oob_tcp_if_include, btl_tcp_if_include). Where programs only start "
         "slowly, raise launch.start_timeout_seconds";
}

std::string unconfirmed_hosts(const Membership& members, const std::vector<HostSlots>& hosts) {
  std::vector<std::string> names;
  for (const SilentRank& rank : members.unconfirmed()) names.push_back(rank.host);
  for (const int rank : members.missing()) names.push_back(host_of_rank(hosts, rank));
  std::vector<HostSlots> distinct;
  for (const std::string& name : names) {
    const bool is_new = !name.empty() && std::ranges::find(distinct, name, &HostSlots::name) == distinct.end();
    if (is_new) distinct.push_back({.name = name});
  }
  return host_names(distinct);
}

}  // namespace equipoise::coordinator
