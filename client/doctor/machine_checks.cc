#include "client/doctor/machine_checks.h"

#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "common/base/environment.h"
#include "common/base/message_text.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr double kGiB = 1073741824.0;
constexpr double kFewDiskGiB = 5;  // a checkpoint of a model of a billion parameters has 12 GB
constexpr double kNoDiskGiB = 0.1;
constexpr double kFewSharedGiB = 0.25;  // a container's default is 0.06, with which NCCL does not start
constexpr rlim_t kFewFiles = 1024;
constexpr std::chrono::seconds kClockSlack{5};

std::string gib_text(double gib) {
  const auto tenths = static_cast<std::int64_t>(gib * 10);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GiB";
}

// The folder itself, or the nearest one above it that is there.
fs::path existing_part(fs::path folder) {
  std::error_code ignored;
  while (!fs::exists(folder, ignored) && folder.has_relative_path()) folder = folder.parent_path();
  return folder;
}

double free_gib(const fs::path& folder) {
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return -1;
  return static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize) / kGiB;
}

}  // namespace

DoctorFinding disk_finding(const std::string& check, const fs::path& folder) {
  std::error_code ignored;
  const fs::path place = existing_part(fs::absolute(folder, ignored).lexically_normal());
  const double free = free_gib(place);
  DoctorFinding finding{
      .health = Health::kOk, .check = check, .found = gib_text(std::max(free, 0.0)) + " free", .advice = ""};
  finding.found += " in " + folder.string();
  if (!fs::is_directory(place, ignored) || ::access(place.c_str(), W_OK | X_OK) != 0) {
    finding.health = Health::kFail;
    finding.found = place.string() + " cannot be written by this user";
    finding.advice = "choose another folder, or change its owner";
  } else if (free < 0 || free < kNoDiskGiB) {
    finding.health = Health::kFail;
    finding.advice = "make room: a run stops where it cannot write its checkpoint";
  } else if (free < kFewDiskGiB) {
    finding.health = Health::kWarn;
    finding.advice = "a checkpoint has 12 bytes a parameter, and two are kept: checkpoint.keep";
  }
  return finding;
}

DoctorFinding no_cache_finding(const std::string& home) {
  const std::string why = home.empty() ? "HOME is not set" : "HOME is " + quoted_text(home) + ", no absolute path";
  return {Health::kWarn, "cache", "there is none: " + why,
          "set HOME or EQUIPOISE_CACHE, or the reference is computed in every run"};
}

DoctorFinding shared_memory_finding() {
  const double free = free_gib("/dev/shm");
  if (free < 0) {
    return {Health::kWarn, "/dev/shm", "is not there", "mount it: ranks of one host pass tensors through it"};
  }
  if (free < kFewSharedGiB) {
    return {Health::kWarn, "/dev/shm", gib_text(free) + " free", "start the container with --shm-size=1g or more"};
  }
  return {Health::kOk, "/dev/shm", gib_text(free) + " free", ""};
}

DoctorFindings limit_findings() {
  DoctorFindings findings;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    const bool few = files.rlim_cur < kFewFiles;
    findings.push_back({few ? Health::kWarn : Health::kOk, "open files",
                        files.rlim_cur == RLIM_INFINITY ? "no limit" : std::to_string(files.rlim_cur) + " a process",
                        few ? "ulimit -n 65536: a coordinator has a connection for each rank" : ""});
  }
  rlimit size{};
  if (::getrlimit(RLIMIT_FSIZE, &size) == 0 && size.rlim_cur != RLIM_INFINITY) {
    findings.push_back({Health::kWarn, "file size", "at most " + std::to_string(size.rlim_cur) + " bytes",
                        "ulimit -f unlimited: a model's file is larger"});
  }
  return findings;
}

namespace {

template <class Setting>
void add_setting(const char* name, Setting setting, DoctorFindings& findings) {
  try {
    setting();
  } catch (const std::invalid_argument& problem) {
    findings.push_back({Health::kFail, "environment", problem.what(), std::string("correct ") + name});
  }
}

}  // namespace

DoctorFindings environment_findings() {
  DoctorFindings findings;
  add_setting(
      "EQUIPOISE_DEVICE", [] { device_setting(); }, findings);
  add_setting(
      "OMP_NUM_THREADS", [] { thread_setting(); }, findings);
  for (const std::string& unknown : unknown_variables()) {
    findings.push_back({Health::kWarn, "environment", unknown, "unset it, or correct its name"});
  }
  if (findings.empty()) findings.push_back({Health::kOk, "environment", "no variable is unknown", ""});
  return findings;
}

DoctorFinding device_finding(const fs::path& gpu_library) {
  const std::string cores = std::to_string(std::thread::hardware_concurrency()) + " processors";
  std::error_code ignored;
  if (!fs::exists("/dev/nvidiactl", ignored)) return {Health::kOk, "device", cores + ", no GPU", ""};
  std::ifstream version("/proc/driver/nvidia/version");
  std::string driver;
  std::getline(version, driver);
  const std::string found = cores + ", " + (driver.empty() ? "an NVIDIA GPU without a driver's version" : driver);
  if (!fs::exists(gpu_library, ignored)) {
    return {Health::kWarn, "device", found,
            "the GPU's library " + gpu_library.string() + " is not there: deploy/bootstrap --gpu, and build again"};
  }
  return {Health::kOk, "device", found, ""};
}

DoctorFinding clock_finding(std::chrono::system_clock::time_point now, std::chrono::system_clock::time_point built,
                            std::chrono::system_clock::time_point newest) {
  const auto seconds = [](auto span) {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(span).count()) + " s";
  };
  if (newest > now + kClockSlack) {
    return {Health::kWarn, "clock", seconds(newest - now) + " behind what the coordinator has written",
            "set the clock of both machines (NTP): times in metrics and events do not fit"};
  }
  if (built > now + kClockSlack) {
    return {Health::kWarn, "clock", seconds(built - now) + " before this program was built", "set the clock (NTP)"};
  }
  return {Health::kOk, "clock",
          newest.time_since_epoch().count() > 0 ? "not behind the coordinator's" : "after this program was built", ""};
}

}  // namespace equipoise
