#include "client/doctor/program_checks.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include "common/base/bounded_file.h"
#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/process/batch_system.h"
#include "common/process/child_process.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kVersionLimit{30};
constexpr std::chrono::seconds kRanksLimit{60};  // over hosts, ssh may wait for names
constexpr std::chrono::milliseconds kProgramPoll{20};
constexpr std::size_t kMostSaid = std::size_t{64} << 10;
constexpr std::size_t kLongestFound = 200;
constexpr int kTookTooLong = 124;
constexpr double kMostClockSpread_s = 5;

std::string beginning_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text(kMostSaid, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return text;
}

// The line that says most: the first of ours, else the first that is not empty.
std::string telling_line(const std::string& said) {
  std::istringstream lines(said);
  std::string first;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("equipoise-worker: ")) return equipoise::one_line(line, kLongestFound);
    if (first.empty() && line.find_first_not_of(" -\t") != std::string::npos) first = line;
  }
  return equipoise::one_line(first, kLongestFound);
}

std::size_t hosts_in(const fs::path& hostfile) {
  std::istringstream lines(read_bounded_file(hostfile, std::uintmax_t{1} << 20, "a hostfile"));
  std::size_t hosts = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t begin = line.find_first_not_of(" \t");
    hosts += begin != std::string::npos && line[begin] != '#' ? 1 : 0;
  }
  return hosts;
}

// Of "2 ranks, clocks 0.1 s apart".
double clock_spread_s(const std::string& said) {
  constexpr std::string_view kBefore = ", clocks ";
  const std::size_t begin = said.find(kBefore);
  double seconds = 0;
  if (begin != std::string::npos) {
    std::from_chars(said.data() + begin + kBefore.size(), said.data() + said.size(), seconds);
  }
  return seconds;
}

DoctorFinding met(const ProgramEnd& end, const std::string& ranks, const MeetingRanks& meeting) {
  DoctorFinding finding{Health::kOk, "ranks", ranks + " reach each other", ""};
  if (!meeting.coordinator.empty()) finding.found += ", and the coordinator at " + meeting.coordinator;
  if (const double apart = clock_spread_s(end.said); apart > kMostClockSpread_s) {
    finding.health = Health::kWarn;
    finding.found += "; their clocks are " + std::to_string(std::llround(apart)) + " s apart";
    finding.advice = "set the clocks of these hosts (NTP): times in logs and events do not fit";
  }
  return finding;
}

DoctorFinding not_met(const ProgramEnd& end, const std::string& ranks, const MeetingRanks& meeting) {
  DoctorFinding finding{Health::kFail, "ranks", ranks, ""};
  const std::string why = telling_line(end.said);
  if (why.find(" cannot reach the coordinator ") != std::string::npos) {
    finding.found += " reach each other, and not the coordinator: " + why;
    finding.advice = "an address that all hosts have for it, which it listens on, and no firewall in between";
    return finding;
  }
  finding.found += (end.exit_code == kTookTooLong ? " did not meet in time: " : " do not meet: ") + why;
  finding.advice = meeting.hostfile.empty()
                       ? "see what mpirun says: mpirun -np 2 " + meeting.worker.string() + " meet"
                       : "ssh without a password and the same paths on each host; which network: launch.mpi_options";
  return finding;
}

}  // namespace

ProgramEnd run_for(const std::vector<std::string>& command, std::chrono::seconds longest, const fs::path& folder) {
  const fs::path log = folder / "said.log";
  std::error_code ignored;
  fs::remove(log, ignored);  // a program's output is added to what is there
  try {
    std::vector<std::string> hidden = variables_hidden_from_mpirun(Allocation::kIgnored);
    hidden.emplace_back("EQUIPOISE_COORDINATOR");  // which coordinator is meant stands in the command
    ChildProcess process(
        {.command = command, .environment = {}, .removed = std::move(hidden), .stdout_file = log, .stderr_file = log});
    const auto begin = std::chrono::steady_clock::now();
    while (true) {
      if (const auto code = process.poll()) return {*code, beginning_of(log)};
      if (std::chrono::steady_clock::now() - begin > longest) break;
      std::this_thread::sleep_for(kProgramPoll);
    }
    return {kTookTooLong, beginning_of(log)};
  } catch (const std::exception& problem) {
    return {127, problem.what()};
  }
}

DoctorFinding program_finding(const fs::path& programs, const std::string& program, const std::string& version,
                              const fs::path& folder) {
  const ProgramEnd end = run_for({(programs / program).string(), "--version"}, kVersionLimit, folder);
  if (end.exit_code != 0) {
    return {Health::kFail, program, "does not start: " + telling_line(end.said),
            "install or build it beside the others; its libraries: ldd " + (programs / program).string()};
  }
  const std::string said = telling_line(end.said);
  if (said.find(version) == std::string::npos) {
    return {Health::kWarn, program, said, "equipoise is " + version + ": take all programs of one build"};
  }
  return {Health::kOk, program, said, ""};
}

DoctorFinding mpirun_finding(const fs::path& folder) {
  const ProgramEnd end = run_for({"mpirun", "--version"}, kVersionLimit, folder);
  if (end.exit_code == 0) return {Health::kOk, "mpirun", telling_line(end.said), ""};
  return {Health::kFail, "mpirun", "does not start: " + telling_line(end.said),
          "install Open MPI: apt-get install openmpi-bin"};
}

DoctorFinding ranks_finding(const MeetingRanks& meeting, const fs::path& folder) {
  std::vector<std::string> command = {"mpirun"};
  if (::geteuid() == 0) command.emplace_back("--allow-run-as-root");
  command.insert(command.end(), {"--bind-to", "none", "--oversubscribe"});
  std::size_t count = 2;
  if (meeting.hostfile.empty()) {
    command.insert(command.end(), {"--mca", "orte_default_hostfile", "none"});
  } else {
    try {
      count = std::max<std::size_t>(count, hosts_in(meeting.hostfile));
    } catch (const std::invalid_argument& problem) {
      return {Health::kFail, "ranks", problem.what(), "name a file with a host a line"};
    }
    command.insert(command.end(), {"--map-by", "node", "--hostfile", meeting.hostfile.string()});
  }
  command.insert(command.end(), {"-np", std::to_string(count), meeting.worker.string()});
  if (!meeting.coordinator.empty()) command.insert(command.end(), {"--coordinator", meeting.coordinator});
  command.emplace_back("meet");
  const ProgramEnd end = run_for(command, kRanksLimit, folder);
  const std::string place =
      meeting.hostfile.empty() ? "on this machine" : "on the hosts of " + meeting.hostfile.string();
  return end.exit_code == 0 ? met(end, std::to_string(count) + " ranks " + place, meeting)
                            : not_met(end, "ranks " + place, meeting);
}

}  // namespace equipoise
