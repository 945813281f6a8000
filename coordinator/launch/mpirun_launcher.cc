#include "coordinator/launch/mpirun_launcher.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include "common/base/error.h"
#include "common/base/network_interfaces.h"
#include "common/process/program_log.h"

namespace equipoise::coordinator {
namespace {

std::vector<std::string> interface_names() {
  std::vector<std::string> names;
  for (const NetworkInterface& interface : network_interfaces()) names.push_back(interface.name);
  return names;
}

// mpirun reads it once, at its start.
void write_hosts(const std::filesystem::path& file, const std::vector<HostSlots>& hosts) {
  std::ofstream stream(file);
  stream << hostfile_text(hosts) << std::flush;
  if (!stream) throw PeerError(file.string() + " cannot be written");
}

std::filesystem::path logs_of(const LaunchSettings& settings, const AttemptKey& key) {
  return settings.logs / key.job_id / std::to_string(key.generation);
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw PeerError(folder.string() + " cannot be made: " + error.message());
}

ProgramStart program_for(const LaunchSettings& settings, const LaunchRequest& request) {
  const auto folder = logs_of(settings, request.attempt);
  make_folder(folder);
  if (!request.hosts.empty()) write_hosts(folder / "hosts", request.hosts);
  const std::vector<std::string> ours = own_environment();
  const McaParameters mca = read_mca_parameters(ours, mca_files(ours));
  RankEnvironment environment = rank_environment(ours, mca, request.environment, settings.allocation);
  for (const std::string& variable : settings.variables) {
    environment.added.push_back(variable);
    environment.passed.push_back(variable.substr(0, variable.find('=')));
  }
  environment.added.push_back(std::string(kAttemptTokenVariable) + "=" + request.token);
  for (std::string& name : overruled_variables(request)) environment.removed.push_back(std::move(name));
  const LaunchPlace place{.hostfile = folder / "hosts",
                          .passed = environment.passed,
                          .mca = mca,
                          .interfaces = interface_names(),
                          .run_as = ::geteuid() == 0 ? RunAs::kRoot : RunAs::kUser};
  for (std::string& variable : mpirun_variables(settings, request, place)) {
    environment.added.push_back(std::move(variable));
  }
  return {.command = mpirun_command(settings, request, place),
          .environment = environment.added,
          .removed = environment.removed,
          .stdout_file = folder / "stdout.log",
          .stderr_file = folder / "stderr.log"};
}

std::string why_it_ended(const std::filesystem::path& logs) {
  const std::string line = last_informative_line_of(logs / "stderr.log");
  return line.empty() ? last_informative_line_of(logs / "stdout.log") : line;
}

bool tells_of_lost_host(const std::string& log) {
  return log.find("has lost communication with a remote daemon") != std::string::npos;
}

constexpr std::chrono::milliseconds kStartPoll{1};
constexpr std::chrono::seconds kStartPatience{30};
constexpr std::chrono::seconds kEndPatience{5};

std::filesystem::path shim_beside_us() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "equipoise-shim";
}

LaunchSettings completed(LaunchSettings settings) {
  if (settings.attempts.empty()) settings.attempts = settings.logs.parent_path() / "attempts";
  if (settings.shim.empty()) settings.shim = shim_beside_us();
  return settings;
}

// "<job>.<generation>"; nullopt: a file of somebody else's.
std::optional<AttemptKey> key_of(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) return std::nullopt;
  AttemptKey key{.job_id = name.substr(0, dot), .generation = 0};
  const char* const end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + dot + 1, end, key.generation);
  const bool is_number = parsed.ec == std::errc() && parsed.ptr == end && key.generation > 0;
  return is_number ? std::optional(key) : std::nullopt;
}

class LaunchInterrupted : public PeerError {
 public:
  using PeerError::PeerError;
};

// Of one that has locked its file, and may be about to write its first line.
ShimState state_of_shim(const AttemptFile& file) {
  constexpr std::chrono::seconds kPatience{1};
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  ShimState state = file.read();
  while (state.pid == 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kStartPoll);
    state = file.read();
  }
  return state;
}

// Returns once mpirun runs; false: once the launcher watches no more. Throws PeerError where it could not be started,
// or nobody can say.
bool await_start(const AttemptFile& file, ChildProcess& shim, int stop) {
  const auto deadline = std::chrono::steady_clock::now() + kStartPatience;
  pollfd stopped{.fd = stop, .events = POLLIN, .revents = 0};
  while (true) {
    const std::optional<int> end = shim.poll();  // before what it had written by then is read
    const ShimState state = file.read();
    if (state.has_started) return true;
    if (!state.refusal.empty()) throw PeerError(state.refusal);
    if (end) {
      constexpr int kSignalled = 128;
      const std::string text =
          "equipoise-shim has ended with code " + std::to_string(*end) + " and has started nothing";
      if (*end > kSignalled) throw LaunchInterrupted(text);
      throw PeerError(text);
    }
    if (std::chrono::steady_clock::now() > deadline) throw PeerError("equipoise-shim has started nothing for 30 s");
    if (::poll(&stopped, 1, static_cast<int>(kStartPoll.count())) > 0) return false;
  }
}

}  // namespace

MpirunLauncher::MpirunLauncher(LaunchSettings settings, OnExit on_exit)
    : settings_(completed(std::move(settings))), on_exit_(std::move(on_exit)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (stop_.get() < 0) throw PeerError("no eventfd can be made: " + std::generic_category().message(errno));
}

MpirunLauncher::~MpirunLauncher() {
  if (settings_.chain == Chain::kToCoordinator) end_all();
  stop_watching();
}

std::filesystem::path MpirunLauncher::file_of(const AttemptKey& key) const {
  return settings_.attempts / (key.job_id + "." + std::to_string(key.generation));
}

ProgramStart MpirunLauncher::shim_start(const AttemptKey& key, const ProgramStart& program) const {
  ProgramStart start = program;
  start.command = {settings_.shim.string(), file_of(key).string(), program.stdout_file.string(),
                   program.stderr_file.string()};
  start.command.insert(start.command.end(), program.command.begin(), program.command.end());
  start.signal_at_our_end = settings_.chain == Chain::kToCoordinator ? SIGKILL : 0;
  return start;
}

// All that may take its time is the thread's: a disk, a shim.
void MpirunLauncher::start(const LaunchRequest& request) {
  remove_ended();
  const AttemptKey& key = request.attempt;
  const std::lock_guard lock(mutex_);
  const auto [entry, is_new] = attempts_.try_emplace(key);
  if (!is_new) throw PeerError("its processes have not been waited for yet");
  try {
    entry->second = std::make_unique<Attempt>();
    Attempt& attempt = *entry->second;
    attempt.thread = std::thread([this, request, &attempt] { run(request, attempt); });
  } catch (...) {
    attempts_.erase(entry);
    throw;
  }
}

// A chained shim dies with this thread.
void MpirunLauncher::run(const LaunchRequest& request, Attempt& attempt) {
  const AttemptKey& key = request.attempt;
  if (request.is_question && request.hosts.empty()) {  // of this machine, which needs no mpirun
    on_exit_({.attempt = key, .log = processes_text(request.processes)});
    attempt.has_ended = true;
    return;
  }
  std::optional<ChildProcess> shim;
  try {
    const ProgramStart program = program_for(settings_, request);
    make_folder(settings_.attempts);
    attempt.file.emplace(AttemptFile::make(file_of(key)));
    shim.emplace(shim_start(key, program));
    adopt(attempt, ProcessHandle::of_child(shim->pid()));
    if (!await_start(*attempt.file, *shim, stop_.get())) return shim->leave();
  } catch (const std::exception& error) {
    shim.reset();
    forget(key);
    on_exit_({.attempt = key,
              .exit_code = 1,
              .last_line = error.what(),
              .refusal = error.what(),
              .was_interrupted = dynamic_cast<const LaunchInterrupted*>(&error) != nullptr});
    attempt.has_ended = true;
    return;
  }
  if (!await_end(attempt)) return shim->leave();
  shim->wait();
  report(key, attempt);
  attempt.has_ended = true;
}

// It may have been asked to end before it was there.
void MpirunLauncher::adopt(Attempt& attempt, std::unique_ptr<ProcessHandle> shim) {
  const std::lock_guard lock(mutex_);
  attempt.shim = std::move(shim);
  if (attempt.shim == nullptr) return;
  if (attempt.was_asked_to_end) attempt.shim->signal(SIGTERM);
  if (attempt.was_killed) attempt.shim->signal(SIGUSR1);
}

// False: the launcher watches no more.
bool MpirunLauncher::await_end(const Attempt& attempt) const {
  if (attempt.shim == nullptr) return true;
  std::array<pollfd, 2> events{pollfd{.fd = attempt.shim->descriptor(), .events = POLLIN, .revents = 0},
                               pollfd{.fd = stop_.get(), .events = POLLIN, .revents = 0}};
  while (::poll(events.data(), events.size(), -1) < 0 && errno == EINTR) {
  }
  return events[0].revents != 0;
}

void MpirunLauncher::report(const AttemptKey& key, Attempt& attempt) const {
  constexpr int kKilled = 128 + SIGKILL;
  const ShimState state = attempt.file->read();
  const auto logs = logs_of(settings_, key);
  std::string log = tail_of(logs / "stderr.log");
  on_exit_({.attempt = key,
            .exit_code = state.exit_code.value_or(kKilled),
            .last_line = state.exit_code ? why_it_ended(logs) : "its equipoise-shim was killed",
            .lost_contact = tells_of_lost_host(log),
            .first_end = first_rank_end(log),
            .log = std::move(log),
            .was_away = attempt.was_found && attempt.shim == nullptr});
}

void MpirunLauncher::terminate(const AttemptKey& attempt) {
  const std::lock_guard lock(mutex_);
  const auto known = attempts_.find(attempt);
  if (known == attempts_.end()) return;
  known->second->was_asked_to_end = true;
  if (known->second->shim != nullptr) known->second->shim->signal(SIGTERM);
}

void MpirunLauncher::kill(const AttemptKey& attempt) {
  const std::lock_guard lock(mutex_);
  const auto known = attempts_.find(attempt);
  if (known == attempts_.end()) return;
  const bool is_second = std::exchange(known->second->was_killed, true);
  if (known->second->shim != nullptr) known->second->shim->signal(is_second ? SIGKILL : SIGUSR1);
}

std::vector<AttemptKey> MpirunLauncher::find() {
  std::vector<AttemptKey> found;
  std::vector<std::filesystem::path> files;
  std::error_code ignored;
  for (const auto& file : std::filesystem::directory_iterator(settings_.attempts, ignored))
    files.push_back(file.path());
  std::ranges::sort(files);
  for (const auto& file : files) {
    try {
      add_found(file, found);
    } catch (const PeerError& error) {
      spdlog::warn("{}", error.what());
    }
  }
  return found;
}

void MpirunLauncher::add_found(const std::filesystem::path& path, std::vector<AttemptKey>& found) {
  const auto key = key_of(path.filename().string());
  if (!key) return;
  auto attempt = std::make_unique<Attempt>();
  attempt->file.emplace(AttemptFile::open(path));
  attempt->was_found = true;
  const bool is_locked = attempt->file->is_locked();
  const ShimState state = is_locked ? state_of_shim(*attempt->file) : attempt->file->read();
  if (is_locked) attempt->shim = ProcessHandle::find(state.pid, state.start_time);
  if (is_locked && attempt->shim == nullptr) {
    if (attempt->file->is_locked()) {
      spdlog::warn("{}: process {} that it names is another one by now, but somebody has locked it", path.string(),
                   state.pid);
    } else {  // it ended just now
      add_found(path, found);
    }
    return;
  }
  // Killed, or lost with the machine, or never begun: nobody knows more of it than the database.
  if (!is_locked && !state.exit_code) return forget(*key);
  found.push_back(*key);
  const std::lock_guard lock(mutex_);
  attempts_[*key] = std::move(attempt);
}

void MpirunLauncher::forget(const AttemptKey& attempt) { ::unlink(file_of(attempt).c_str()); }

void MpirunLauncher::watch_found() {
  const std::lock_guard lock(mutex_);
  for (auto& [key, attempt] : attempts_) {
    if (!attempt->was_found || attempt->thread.joinable()) continue;
    attempt->thread = std::thread([this, key = key, &watched = *attempt] {
      if (!await_end(watched)) return;
      report(key, watched);
      watched.has_ended = true;
    });
  }
}

void MpirunLauncher::end_all() {
  std::vector<Attempt*> attempts;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, attempt] : attempts_) attempts.push_back(attempt.get());
  }
  const auto send = [&](int signal) {
    const std::lock_guard lock(mutex_);
    for (Attempt* attempt : attempts) {
      attempt->was_killed = true;
      if (attempt->shim != nullptr && !attempt->has_ended) attempt->shim->signal(signal);
    }
  };
  const auto all_have_ended = [&] {
    return std::ranges::all_of(
        attempts, [](const Attempt* attempt) { return attempt->has_ended || !attempt->thread.joinable(); });
  };
  const auto await_all = [&] {
    const auto deadline = std::chrono::steady_clock::now() + kEndPatience;
    while (!all_have_ended() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(kStartPoll);
  };
  send(SIGUSR1);
  await_all();
  if (all_have_ended()) return;
  send(SIGKILL);
  await_all();
}

void MpirunLauncher::stop_watching() {
  const std::uint64_t one = 1;
  const ssize_t ignored = ::write(stop_.get(), &one, sizeof(one));
  static_cast<void>(ignored);
  std::map<AttemptKey, std::unique_ptr<Attempt>> attempts;
  {
    const std::lock_guard lock(mutex_);
    attempts.swap(attempts_);
  }
  for (auto& [key, attempt] : attempts) {
    if (attempt->thread.joinable()) attempt->thread.join();
  }
}

void MpirunLauncher::remove_ended() {
  std::vector<std::unique_ptr<Attempt>> ended;
  {
    const std::lock_guard lock(mutex_);
    for (auto attempt = attempts_.begin(); attempt != attempts_.end();) {
      const bool is_over = attempt->second->has_ended;
      if (is_over) ended.push_back(std::move(attempt->second));
      attempt = is_over ? attempts_.erase(attempt) : std::next(attempt);
    }
  }
  for (const auto& attempt : ended) attempt->thread.join();
}

}  // namespace equipoise::coordinator
