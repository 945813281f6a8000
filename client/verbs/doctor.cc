#include <memory>
#include <stdexcept>
#include <string>

#include "client/command_line/result_output.h"
#include "client/command_line/shared_flags.h"
#include "client/command_line/verb.h"
#include "client/connection/private_folder.h"
#include "client/connection/private_service.h"
#include "client/doctor/machine_checks.h"
#include "client/doctor/program_checks.h"
#include "common/base/build_version.h"
#include "common/base/cache_folder.h"
#include "common/base/host_port.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

struct DoctorFlags {
  CoordinatorFlags coordinator;
  std::string hostfile;
  std::string output = ".";
  std::string state;
  ResultFlags result;
};

std::chrono::system_clock::time_point time_of(const google::protobuf::Timestamp& time) {
  return std::chrono::system_clock::time_point(std::chrono::seconds(time.seconds()));
}

// Adds whether the coordinator answers; returns the newest time that it has written.
std::chrono::system_clock::time_point ask_coordinator(const CoordinatorFlags& flags, DoctorFindings& findings) {
  std::chrono::system_clock::time_point newest{};
  if (flags.address.empty()) return newest;
  const std::string how = std::string(flags.files.tls_ca.empty() ? "in plain text" : "over TLS") +
                          (flags.files.token_file.empty() ? ", without a token" : ", with a token");
  try {
    v1::ListTrainingJobsRequest request;
    request.set_page_size(1);
    const v1::ListTrainingJobsResponse response = flags.connect().list_jobs(request);
    for (const v1::TrainingJob& job : response.jobs()) newest = time_of(job.create_time());
    findings.push_back({Health::kOk, "coordinator", flags.address + " answers " + how, ""});
  } catch (const std::exception& problem) {
    findings.push_back({Health::kFail, "coordinator", problem.what(),
                        "is it running there, and may this user call it: address, --tls-ca, --token-file"});
  }
  return newest;
}

DoctorFinding cache_finding() {
  try {
    const fs::path cache = cache_folder();
    const char* const home = std::getenv("HOME");
    if (cache.empty()) return no_cache_finding(home == nullptr ? "" : home);
    return disk_finding("cache", cache);
  } catch (const std::invalid_argument& problem) {
    return {Health::kFail, "cache", problem.what(), "correct EQUIPOISE_CACHE"};
  }
}

std::chrono::system_clock::time_point built_at(const fs::path& program) {
  std::error_code ignored;
  const auto written = fs::last_write_time(program, ignored);
  if (ignored) return {};
  return std::chrono::time_point_cast<std::chrono::system_clock::duration>(std::chrono::file_clock::to_sys(written));
}

// Whether ranks can be expected to reach the coordinator at its address here: on other hosts, a loopback address leads
// elsewhere.
bool may_reach_from_hosts(const DoctorFlags& flags) {
  const auto address = parse_host_port(flags.coordinator.address);
  return flags.hostfile.empty() || !address || !is_loopback_host(address->host);
}

DoctorFindings examine(const DoctorFlags& flags) {
  const fs::path programs = program_folder();
  DoctorFindings findings = {{Health::kOk, "equipoise", version_text(), ""}};
  const auto add = [&findings](DoctorFinding finding) { findings.push_back(std::move(finding)); };
  const PrivateFolder folder;
  for (const char* const program : {"equipoise-coordinator", "equipoise-worker"}) {
    add(program_finding(programs, program, build_version(), folder.path()));
  }
  add(mpirun_finding(folder.path()));
  DoctorFindings of_coordinator;
  const auto newest = ask_coordinator(flags.coordinator, of_coordinator);
  const bool answers = !of_coordinator.empty() && worst_health(of_coordinator) == Health::kOk;
  add(ranks_finding({.worker = programs / "equipoise-worker",
                     .hostfile = flags.hostfile,
                     .coordinator = answers && may_reach_from_hosts(flags) ? flags.coordinator.address : ""},
                    folder.path()));
  for (const DoctorFinding& finding : of_coordinator) add(finding);
  add(clock_finding(std::chrono::system_clock::now(), built_at(programs / "equipoise"), newest));
  add(device_finding(programs.parent_path() / "lib/libequipoise_gpu.so"));
  add(disk_finding("output", flags.output));
  add(cache_finding());
  if (!flags.state.empty()) add(disk_finding("state", flags.state));
  add(shared_memory_finding());
  for (const DoctorFinding& finding : limit_findings()) add(finding);
  for (const DoctorFinding& finding : environment_findings()) add(finding);
  return findings;
}

void doctor(const DoctorFlags& flags, const Console& console) {
  DoctorFindings findings = examine(flags);
  const char* const home = std::getenv("HOME");
  for (DoctorFinding& finding : findings) {
    finding.found = without_home(finding.found, home == nullptr ? "" : home);
    finding.advice = without_home(finding.advice, home == nullptr ? "" : home);
  }
  flags.result.print({.text = [&] { return findings_text(findings, console.colors); },
                      .json = [&] { return findings_json(findings); }},
                     console);
  if (worst_health(findings) == Health::kFail) {
    throw CommandError(ExitCode::kFailure, "something is not as a run needs it: the lines with FAIL say what");
  }
}

}  // namespace

void add_doctor_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<DoctorFlags>();
  CLI::App* verb = parent.add_subcommand("doctor", "Look whether this machine has what a run needs");
  flags->coordinator.add_to(*verb);
  verb->add_option("--hostfile", flags->hostfile, "Hosts whose ranks are to reach each other")->type_name("FILE");
  verb->add_option("--output", flags->output, "Where runs will write")->type_name("DIR")->capture_default_str();
  verb->add_option("--state", flags->state, "Of a coordinator")->type_name("DIR");
  flags->result.add_to(*verb);
  verb->footer(
      "A line a check: OK, WARN or FAIL, with what to do. It has no secrets: paste it into a report of a fault.\n"
      "Exit code: 0 nothing failed, 1 something did.");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { doctor(*flags, console); }; });
}

}  // namespace equipoise
