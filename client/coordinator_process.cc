#include "client/coordinator_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

#include "client/exit_code.h"
#include "common/base/error.h"

namespace equipoise {
namespace {

constexpr std::chrono::seconds kStartPatience{30};
constexpr std::chrono::seconds kStopPatience{15};
constexpr std::chrono::milliseconds kProcessPoll{10};

// Default signals and an own process group for the child, its output in `log`.
class SpawnSettings {
 public:
  explicit SpawnSettings(const std::filesystem::path& log) {
    EQUIPOISE_CHECK(posix_spawnattr_init(&attributes_) == 0 && posix_spawn_file_actions_init(&files_) == 0);
    sigset_t none;
    sigset_t caught;
    sigemptyset(&none);
    sigemptyset(&caught);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) sigaddset(&caught, signal);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &caught);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_addopen(&files_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files_, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&files_, STDOUT_FILENO, STDERR_FILENO);
  }
  ~SpawnSettings() {
    posix_spawnattr_destroy(&attributes_);
    posix_spawn_file_actions_destroy(&files_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  const posix_spawnattr_t* attributes() const { return &attributes_; }
  const posix_spawn_file_actions_t* files() const { return &files_; }

 private:
  posix_spawnattr_t attributes_;
  posix_spawn_file_actions_t files_;
};

std::vector<std::string> arguments(const CoordinatorOptions& options, const std::filesystem::path& announcement) {
  std::vector<std::string> words = {options.program.string(),
                                    "--listen",
                                    "127.0.0.1:0",
                                    "--metrics-listen",
                                    "127.0.0.1:0",
                                    "--state",
                                    (options.folder / "state").string(),
                                    "--announce",
                                    announcement.string(),
                                    "--exit-with-parent",
                                    "--private-folder",
                                    options.folder.string()};
  if (!options.log_level.empty()) words.insert(words.end(), {"--log-level", options.log_level});
  return words;
}

pid_t spawn(std::vector<std::string> words, std::string setting, const std::filesystem::path& log) {
  const SpawnSettings settings(log);
  // The first of two entries counts.
  std::vector<char*> variables;
  if (!setting.empty()) variables.push_back(setting.data());
  for (char** entry = environ; *entry != nullptr; ++entry) variables.push_back(*entry);
  variables.push_back(nullptr);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int failure =
      posix_spawn(&pid, argv[0], settings.files(), settings.attributes(), argv.data(), variables.data());
  if (failure != 0) throw std::invalid_argument(words[0] + " cannot be started: " + std::strerror(failure));
  return pid;
}

}  // namespace

CoordinatorProcess::CoordinatorProcess(const CoordinatorOptions& options, const std::function<bool()>& stop)
    : log_(options.folder / "coordinator.log") {
  const std::filesystem::path announcement = options.folder / "announcement.json";
  pid_ = spawn(arguments(options, announcement), options.setting, log_);
  // The destructor does not run for an object whose constructor throws.
  try {
    wait_until_serving(announcement, stop);
  } catch (...) {
    this->stop();
    throw;
  }
}

CoordinatorProcess::~CoordinatorProcess() { stop(); }

void CoordinatorProcess::wait_until_serving(const std::filesystem::path& announcement,
                                            const std::function<bool()>& stop) {
  const auto deadline = std::chrono::steady_clock::now() + kStartPatience;
  while (true) {
    // It appears whole, by a rename, once the coordinator serves.
    std::ifstream file(announcement);
    if (file) return read_announcement(file);
    if (has_ended()) {
      const std::string said = last_line(log_);
      throw PeerError("the coordinator did not start: " + (said.empty() ? "it said nothing" : said) + " (" + end() +
                      ")");
    }
    if (stop()) throw CommandError(ExitCode::kInterrupted, "interrupted");
    if (std::chrono::steady_clock::now() > deadline) {
      throw PeerError("the coordinator did not serve within " + std::to_string(kStartPatience.count()) + " s; see " +
                      log_.string());
    }
    std::this_thread::sleep_for(kProcessPoll);
  }
}

void CoordinatorProcess::read_announcement(std::istream& file) {
  const auto content = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  const auto address = content.is_object() ? content.find("address") : content.end();
  if (address == content.end() || !address->is_string()) throw PeerError("the coordinator did not say its address");
  address_ = address->get<std::string>();
}

bool CoordinatorProcess::has_ended() {
  if (!ended_) ended_ = waitpid(pid_, &wait_status_, WNOHANG) != 0;
  return ended_;
}

std::string CoordinatorProcess::end() {
  if (!has_ended()) return "";
  if (WIFSIGNALED(wait_status_)) return "killed by signal " + std::to_string(WTERMSIG(wait_status_));
  return "exit code " + std::to_string(WEXITSTATUS(wait_status_));
}

void CoordinatorProcess::stop() noexcept {
  if (has_ended()) return;
  kill(pid_, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + kStopPatience;
  while (!has_ended() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(kProcessPoll);
  if (has_ended()) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, &wait_status_, 0);
  ended_ = true;
}

std::filesystem::path program_folder() { return std::filesystem::read_symlink("/proc/self/exe").parent_path(); }

std::string last_line(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string last;
  for (std::string line; std::getline(stream, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) last = line;
  }
  return last;
}

}  // namespace equipoise
