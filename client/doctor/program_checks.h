// Whether the programs are here and start, alone and as ranks of mpirun, as `equipoise doctor` looks at it.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "client/doctor/finding.h"

namespace equipoise {

// How a program ended that ran for at most so long. `said`: the beginning of its output, 64 KiB at most.
struct ProgramEnd {
  int exit_code = 0;  // 127 where it could not be started, 124 where it took too long
  std::string said;
};

// `folder`: for its output. Throws nothing.
ProgramEnd run_for(const std::vector<std::string>& command, std::chrono::seconds longest,
                   const std::filesystem::path& folder);

// What --version says; `program` is in `programs`, the folder of all of them, of which each must have `version`.
DoctorFinding program_finding(const std::filesystem::path& programs, const std::string& program,
                              const std::string& version, const std::filesystem::path& folder);

DoctorFinding mpirun_finding(const std::filesystem::path& folder);

struct MeetingRanks {
  std::filesystem::path worker;         // the program
  std::filesystem::path hostfile = {};  // empty: this machine
  std::string coordinator = {};         // HOST:PORT that each rank is to reach; empty: none
};

// Two ranks, or one for each host of the hostfile, that add up their numbers over MPI, open a connection to the
// coordinator and compare the clocks of their hosts.
DoctorFinding ranks_finding(const MeetingRanks& ranks, const std::filesystem::path& folder);

}  // namespace equipoise
