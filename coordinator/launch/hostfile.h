// The operator's list of hosts, in Open MPI's format: a host a line, "node1 slots=8", "# a comment".
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace equipoise::coordinator {

// A slot is room for one rank.
struct HostSlots {
  std::string name;  // as mpirun and ssh take it; may be user@host
  int slots = 1;
  bool operator==(const HostSlots&) const = default;
};

// In the order of the file. A line without slots= counts one slot, a host on several lines has the sum. Throws
// std::invalid_argument naming the file, the line and what would be right.
std::vector<HostSlots> read_hostfile(const std::filesystem::path& file);

// The same of a text in that format; `file` is its name in messages.
std::vector<HostSlots> parse_hostfile(const std::filesystem::path& file, const std::string& content);

// "FILE:LINE" of the first line that names `host`; the file's name alone where none does any more.
std::string place_in_hostfile(const std::filesystem::path& file, const std::string& host);

// The same format again.
std::string hostfile_text(std::span<const HostSlots> hosts);

// "node1, node2 and 3 more"
std::string host_names(std::span<const HostSlots> hosts);

}  // namespace equipoise::coordinator
