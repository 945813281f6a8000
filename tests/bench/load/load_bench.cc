// One coordinator under the load of 1,024 ranks in 64 jobs: how long a step waits for its weights, and what others do
// to that. Each line ends with the bar that docs/operations.md promises, where there is one.
//
// What watchers, browsers and lists of jobs do is a ratio of two p99: windows with and without them take turns, first
// one and then the other, as a machine is never the same for long.
//
//   equipoise_load_bench COORDINATOR [--jobs 64] [--ranks 16] [--seconds 10] [--pairs 12]
//   [--only alone|browsers|lists|moves]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/robust/shares_file.h"
#include "tests/bench/load/simulated_load.h"
#include "tests/support/temp_folder.h"

namespace equipoise::load {
namespace {

namespace fs = std::filesystem;
using Jobs = std::vector<std::unique_ptr<StepReporter>>;

constexpr int kWatchers = 1000, kBrowsers = 1000, kLists = 1600, kSlowClients = 10, kStepsAtOnce = 64,
              kStepsAlone = 2000;

constexpr const char* kListsOption = "--lists-of";  // what the bench starts itself with

struct LoadSettings {
  std::string coordinator;
  int jobs = 64, ranks = 16, seconds = 10;
  int pairs = 12;         // of windows with and without others, of half as many seconds each
  std::string only = {};  // empty: everything
};

LoadSettings settings_of(int argc, char** argv) {
  LoadSettings settings;
  if (argc < 2 || argc % 2 != 0)
    throw std::invalid_argument(
        "usage: load_bench COORDINATOR [--jobs N] [--ranks N] [--seconds N] [--pairs N] [--only alone|browsers|lists|"
        "moves]");
  settings.coordinator = argv[1];
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--only") {
      settings.only = argv[i + 1];
      constexpr std::array kParts = {"alone", "browsers", "lists", "moves"};
      if (std::ranges::find(kParts, settings.only) == kParts.end()) {
        throw std::invalid_argument("--only is " + settings.only + ", expected alone, browsers, lists or moves");
      }
      continue;
    }
    const int value = std::stoi(argv[i + 1]);
    if (value < 1) throw std::invalid_argument(name + " is " + argv[i + 1] + ", expected >= 1");
    if (name == "--jobs") {
      settings.jobs = value;
    } else if (name == "--ranks") {
      settings.ranks = value;
    } else if (name == "--seconds") {
      settings.seconds = value;
    } else if (name == "--pairs") {
      settings.pairs = std::max(value, 3);
    } else {
      throw std::invalid_argument("unknown option " + name);
    }
  }
  return settings;
}

// A real one, with a state folder of its own; ends with this object.
class CoordinatorProcess {
 public:
  CoordinatorProcess(const std::string& program, const fs::path& folder) {
    const std::string state = folder / "state", announce = folder / "announce.json";
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execl(program.c_str(), program.c_str(), "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--state",
              state.c_str(), "--announce", announce.c_str(), "--log-level", "warn", "--exit-with-parent", nullptr);
      ::_exit(127);
    }
    while (!fs::exists(announce)) {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) throw std::runtime_error(program + " has ended");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    std::ifstream file(announce);
    const auto where = nlohmann::json::parse(file);
    address = where.at("address");
    metrics = where.at("metrics");
  }
  ~CoordinatorProcess() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  CoordinatorProcess(const CoordinatorProcess&) = delete;
  CoordinatorProcess& operator=(const CoordinatorProcess&) = delete;

  // The most memory that it has had, MiB.
  double peak_mib() const {
    std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
    }
    return 0;
  }

  std::string address, metrics;

 private:
  pid_t pid_ = -1;
};

struct Latencies {
  std::vector<double> seconds;  // ascending
  double steps_a_second = 0;

  double at(double share) const {
    if (seconds.empty()) return 0;
    return seconds[std::min(seconds.size() - 1, static_cast<std::size_t>(share * static_cast<double>(seconds.size())))];
  }
};

void forget(Jobs& jobs) {
  for (const auto& job : jobs) job->take_latencies();
}

std::int64_t all_steps(const Jobs& jobs) {
  std::int64_t steps = 0;
  for (const auto& job : jobs) steps += job->steps();
  return steps;
}

// While `work` goes on, or for so many seconds.
template <typename Work>
Latencies measure(Jobs& jobs, const Work& work) {
  forget(jobs);
  const std::int64_t before = all_steps(jobs);
  const auto begin = LoadClock::now();
  work();
  const std::chrono::duration<double> taken = LoadClock::now() - begin;
  Latencies found{.seconds = {}, .steps_a_second = static_cast<double>(all_steps(jobs) - before) / taken.count()};
  for (const auto& job : jobs) {
    const auto of_job = job->take_latencies();
    found.seconds.insert(found.seconds.end(), of_job.begin(), of_job.end());
  }
  std::ranges::sort(found.seconds);
  return found;
}

void begin(Jobs& jobs, int steps_a_message) {
  for (const auto& job : jobs) job->begin(steps_a_message);
}
void stop(Jobs& jobs) {
  for (const auto& job : jobs) job->stop();
}

void say(const std::string& what, const Latencies& found) {
  std::printf("%-48s p50 %8.3f ms   p99 %8.3f ms   %8.0f steps/s\n", what.c_str(), 1e3 * found.at(0.5),
              1e3 * found.at(0.99), found.steps_a_second);
  std::fflush(stdout);
}

void say_change(const std::string& what, const Latencies& found, const Latencies& before, double most) {
  say(what, found);
  std::printf("%-48s p99 %+.1f %% (at most %.0f %%)\n", "", 100 * (found.at(0.99) / before.at(0.99) - 1), most);
}

// --- others

// Streams of a job that does not change.
class IdleWatchers {
 public:
  IdleWatchers(const std::string& address, const std::string& job_id, int count) {
    for (int i = 0; i < count; ++i) {
      if (i % kStreamsAConnection == 0) stubs_.push_back(v1::TrainingJobService::NewStub(own_channel(address)));
      auto& watcher = *watchers_.emplace_back(std::make_unique<Watcher>());
      v1::WatchTrainingJobRequest request;
      request.set_id(job_id);
      watcher.stream = stubs_.back()->WatchTrainingJob(&watcher.context, request);
      v1::TrainingJob first;
      if (watcher.stream->Read(&first)) ++admitted_;
    }
  }
  ~IdleWatchers() {
    for (const auto& watcher : watchers_) watcher->context.TryCancel();
    for (const auto& watcher : watchers_) watcher->stream->Finish();
  }
  IdleWatchers(const IdleWatchers&) = delete;
  IdleWatchers& operator=(const IdleWatchers&) = delete;
  int admitted() const { return admitted_; }

 private:
  static constexpr int kStreamsAConnection = 50;
  struct Watcher {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::TrainingJob>> stream;
  };
  std::vector<std::unique_ptr<v1::TrainingJobService::Stub>> stubs_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
  int admitted_ = 0;
};

// All at once; returns when the last one is answered.
void list_at_once(const std::string& address, int count) {
  struct Call {
    grpc::ClientContext context;
    v1::ListTrainingJobsRequest request;
    v1::ListTrainingJobsResponse answer;
  };
  const auto jobs = v1::TrainingJobService::NewStub(own_channel(address));
  std::vector<std::unique_ptr<Call>> calls;
  std::atomic<int> left = count;
  for (int i = 0; i < count; ++i) {
    Call& call = *calls.emplace_back(std::make_unique<Call>());
    jobs->async()->ListTrainingJobs(&call.context, &call.request, &call.answer,
                                    [&left](const grpc::Status&) { --left; });
  }
  while (left > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// A connection to HOST:PORT, over which `text` was sent; from the address with this number of the loopback network, or,
// with 0, from the usual one.
int connection(const std::string& where, const std::string& text, std::uint32_t number = 0) {
  const std::size_t colon = where.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(where.substr(colon + 1))));
  ::inet_pton(AF_INET, where.substr(0, colon).c_str(), &address.sin_addr);
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number);
  if (socket < 0 || ::bind(socket, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
      ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error(where + " does not take a connection");
  }
  if (::write(socket, text.data(), text.size()) < 0) throw std::runtime_error(where + " takes no request");
  return socket;
}

// Streams of the HTTP port, of a job that trains, read as they come; each from an address of its own, as people's
// browsers are: who shares one shares its limits.
class Browsers {
 public:
  Browsers(const std::string& where, const std::string& job_id, int count) {
    const std::string request = "GET /v1/jobs/" + job_id + ":watch HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (int i = 0; i < count; ++i) {
      const auto number = static_cast<std::uint32_t>(i + 1);
      sockets_.push_back(connection(where, request, number));
    }
    thread_ = std::thread([this] { read_all(); });
  }
  ~Browsers() {
    is_stopping_ = true;
    thread_.join();
    for (const int socket : sockets_) ::close(socket);
  }
  Browsers(const Browsers&) = delete;
  Browsers& operator=(const Browsers&) = delete;
  // Until each has got its first event; throws where one was refused.
  void wait_for_all() const {
    while (begun_ < static_cast<int>(sockets_.size())) {
      if (has_lost_) throw std::runtime_error("a browser was not let in");
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

 private:
  // The head of a stream has less.
  static constexpr std::int64_t kFirstEvent = 1024;

  // On processors that nothing else needs: browsers run on machines of their own.
  void read_all() {
    const sched_param priority{};
    ::sched_setscheduler(::gettid(), SCHED_IDLE, &priority);
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    for (std::size_t at = 0; at < sockets_.size(); ++at) {
      epoll_event event{.events = EPOLLIN, .data = {.u64 = at}};
      ::epoll_ctl(epoll, EPOLL_CTL_ADD, sockets_[at], &event);
    }
    std::vector<std::int64_t> got(sockets_.size());
    std::vector<char> part(1 << 16);
    std::vector<epoll_event> events(sockets_.size());
    while (!is_stopping_) {
      const int ready = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 100);
      for (int i = 0; i < ready; ++i) {
        const std::size_t at = events[static_cast<std::size_t>(i)].data.u64;
        const ssize_t count = ::read(sockets_[at], part.data(), part.size());
        if (count <= 0) {
          ::epoll_ctl(epoll, EPOLL_CTL_DEL, sockets_[at], nullptr);
          has_lost_ = true;
          continue;
        }
        if (got[at] < kFirstEvent && got[at] + count >= kFirstEvent) ++begun_;
        got[at] += count;
      }
    }
    ::close(epoll);
  }

  std::vector<int> sockets_;
  std::atomic<int> begun_ = 0;
  std::atomic<bool> has_lost_ = false;
  std::atomic<bool> is_stopping_ = false;
  std::thread thread_;
};

struct Interval {
  double middle, low, high;
};

// Of the ratio whose logarithms these are: the geometric mean, and 95 % by Student's t (its quantile by Cornish and
// Fisher's expansion).
Interval ratio_of(const std::vector<double>& logarithms) {
  constexpr double kZ = 1.959964;
  const auto count = static_cast<double>(logarithms.size());
  const double v = count - 1, z3 = kZ * kZ * kZ, z5 = z3 * kZ * kZ;
  const double t = kZ + (z3 + kZ) / (4 * v) + (5 * z5 + 16 * z3 + 3 * kZ) / (96 * v * v);
  double mean = 0, squares = 0;
  for (const double one : logarithms) mean += one / count;
  for (const double one : logarithms) squares += (one - mean) * (one - mean);
  const double half = t * std::sqrt(squares / v / count);
  return {.middle = std::exp(mean), .low = std::exp(mean - half), .high = std::exp(mean + half)};
}

// Windows of jobs that report as fast as they are answered, with others and without them. `make_others` returns what
// is there while the window lasts.
template <typename MakeOthers>
void take_turns(const LoadSettings& settings, Jobs& jobs, const std::string& what, double most,
                const MakeOthers& make_others) {
  const auto half = std::chrono::milliseconds(500 * settings.seconds);
  const auto pass = [&] { std::this_thread::sleep_for(half); };
  std::vector<double> logarithms, without_ms, with_ms;
  const auto alone = [&] { return without_ms.emplace_back(1e3 * measure(jobs, pass).at(0.99)); };
  const auto beside = [&] {
    const auto others = make_others();
    return with_ms.emplace_back(1e3 * measure(jobs, pass).at(0.99));
  };
  for (int pair = 0; pair < settings.pairs; ++pair) {
    const bool is_alone_first = pair % 2 == 0;
    const double first = is_alone_first ? alone() : beside(), second = is_alone_first ? beside() : alone();
    logarithms.push_back(is_alone_first ? std::log(second / first) : std::log(first / second));
  }
  std::ranges::sort(without_ms);
  std::ranges::sort(with_ms);
  const Interval ratio = ratio_of(logarithms);
  std::printf("%-48s p99 %.3f ms without, %.3f ms with (medians of %d windows)\n", what.c_str(),
              without_ms[without_ms.size() / 2], with_ms[with_ms.size() / 2], settings.pairs);
  std::printf("%-48s ratio %.3f, 95 %% of it %.3f to %.3f (at most %.2f)\n", "", ratio.middle, ratio.low, ratio.high,
              most);
  std::fflush(stdout);
}

// All of them watch the first job.
void browsers_in_turns(const LoadSettings& settings, const CoordinatorProcess& coordinator, Jobs& jobs,
                       const std::string& what) {
  take_turns(settings, jobs, what + " beside " + std::to_string(kBrowsers) + " browsers", 1.05, [&] {
    auto browsers = std::make_unique<Browsers>(coordinator.metrics, jobs.front()->job_id(), kBrowsers);
    browsers->wait_for_all();
    return browsers;
  });
}

// A program of its own, as people's are: lists at once, and again a second after the last one was answered.
class Lists {
 public:
  explicit Lists(const std::string& address) : pid_(::fork()) {
    if (pid_ != 0) return;
    ::execl("/proc/self/exe", "equipoise_load_bench", kListsOption, address.c_str(), nullptr);
    ::_exit(127);
  }
  ~Lists() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  Lists(const Lists&) = delete;
  Lists& operator=(const Lists&) = delete;

 private:
  const pid_t pid_;
};

[[noreturn]] void list_for_ever(const std::string& address) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  while (true) {
    list_at_once(address, kLists);
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

void lists_in_turns(const LoadSettings& settings, const CoordinatorProcess& coordinator, Jobs& jobs) {
  take_turns(settings, jobs, "  the same beside " + std::to_string(kLists) + " lists at once", 1.5,
             [&] { return std::make_unique<Lists>(coordinator.address); });
}

// What the HTTP port answers to one request, whose connection it closes.
std::string answer_of(const std::string& where, const std::string& path) {
  const int socket = connection(where, "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  std::string answer;
  std::vector<char> part(1 << 16);
  for (ssize_t count = 0; (count = ::read(socket, part.data(), part.size())) > 0;) {
    answer.append(part.data(), static_cast<std::size_t>(count));
  }
  ::close(socket);
  return answer;
}

// pair_shares.bin as a run leaves it that moves all weights at each step.
void write_shares(const fs::path& output, int groups, std::int64_t steps) {
  SharesHeader header{.budget = std::int64_t{64} << 20, .groups = {}, .files = {"train.jsonl"}};
  for (int group = 0; group < groups; ++group) header.groups.push_back("group" + std::to_string(group));
  SharesWriter writer(output, header, 0);
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> loss(-0.4, 1.0);
  for (std::int64_t step = 1; step <= steps; ++step) {
    std::vector<GroupShares> of_groups(static_cast<std::size_t>(groups));
    for (std::size_t g = 0; g < of_groups.size(); ++g) {
      of_groups[g] = {.group = static_cast<std::uint32_t>(g),
                      .step = step,
                      .loss_sum = 1,
                      .pair_count = 8,
                      .alpha_before = loss(random),
                      .alpha_after = loss(random)};
      std::vector<PairShare> pairs;
      for (int pair = 0; pair < 8; ++pair) {
        pairs.push_back({.file = 0, .row = static_cast<std::int64_t>(random() % 1'000'000), .share = loss(random)});
      }
      set_shares(std::move(pairs), of_groups[g]);
    }
    writer.add(step, std::move(of_groups));
  }
  writer.write_open();
}

// "Why did this group's weight move?", of a long job of many groups: of a step, and of all that a chart shows.
void ask_why_weights_moved(const CoordinatorProcess& coordinator, v1::TrainingJobService::Stub& jobs_service,
                           const fs::path& folder) {
  constexpr int kMoveGroups = 200, kQuestions = 200;
  constexpr std::int64_t kMoveSteps = 100'000;
  const fs::path output = folder / "moves";
  fs::create_directories(output);
  write_shares(output, kMoveGroups, kMoveSteps);
  Jobs jobs;
  jobs.push_back(std::make_unique<StepReporter>(coordinator.address,
                                                create_job(jobs_service, "moves", 1, output.string()), 1, kMoveGroups));
  const Heartbeats heartbeats(coordinator.address, jobs, 1);
  begin(jobs, kStepsAtOnce);
  while (all_steps(jobs) < kMoveSteps) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  stop(jobs);
  forget(jobs);
  std::mt19937_64 random(2);
  for (const bool is_whole : {false, true}) {
    std::vector<double> seconds;
    for (int i = 0; i < kQuestions; ++i) {
      const std::int64_t last = is_whole ? kMoveSteps : 1 + static_cast<std::int64_t>(random() % kMoveSteps);
      const std::string path = "/v1/jobs/" + jobs.front()->job_id() + "/moves?group=group" +
                               std::to_string(random() % kMoveGroups) +
                               "&from=" + std::to_string(is_whole ? 0 : last - 1) + "&to=" + std::to_string(last);
      const auto begin = LoadClock::now();
      const std::string answer = answer_of(coordinator.metrics, path);
      seconds.push_back(std::chrono::duration<double>(LoadClock::now() - begin).count());
      if (answer.find("\"top\":[{") == std::string::npos) throw std::runtime_error(path + ": " + answer);
    }
    std::ranges::sort(seconds);
    std::printf("%-48s p50 %8.3f ms   the longest %8.3f ms (at most 200 ms)\n",
                is_whole ? "  the largest move of the whole job" : "why a weight moved, of 10^5 steps x 200 groups",
                1e3 * seconds[seconds.size() / 2], 1e3 * seconds.back());
    std::fflush(stdout);
  }
}

double scrape_beside_slow_clients(const std::string& where) {
  std::vector<int> slow;
  for (int i = 0; i < kSlowClients; ++i) slow.push_back(connection(where, "GET /metrics HTTP/1.1\r\nHost: "));
  const auto begin = LoadClock::now();
  answer_of(where, "/metrics");
  const std::chrono::duration<double> taken = LoadClock::now() - begin;
  for (const int socket : slow) ::close(socket);
  return taken.count();
}

// A job with all its steps.
void remove(v1::TrainingJobService::Stub& jobs, StepReporter& job) {
  v1::FailWorkerRequest failure;
  failure.set_job_id(job.job_id());
  failure.set_generation(job.generation());
  failure.set_reason("it is to be deleted");
  failure.set_kind(v1::FAILURE_KIND_PROGRAM);
  grpc::ClientContext fail_context, delete_context;
  v1::FailWorkerResponse failed;
  expect_ok(job.stub().FailWorker(&fail_context, failure, &failed), "FailWorker");
  v1::DeleteTrainingJobRequest request;
  request.set_id(job.job_id());
  google::protobuf::Empty deleted;
  expect_ok(jobs.DeleteTrainingJob(&delete_context, request, &deleted), "DeleteTrainingJob");
}

double seconds_of_heartbeat(StepReporter& job) {
  v1::HeartbeatRequest request;
  request.set_job_id(job.job_id());
  request.set_generation(job.generation());
  grpc::ClientContext context;
  v1::HeartbeatResponse answer;
  const auto begin = LoadClock::now();
  expect_ok(job.stub().Heartbeat(&context, request, &answer), "Heartbeat");
  return std::chrono::duration<double>(LoadClock::now() - begin).count();
}

void allow_many_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void run(const LoadSettings& settings) {
  allow_many_files();
  const TempFolder folder;
  const CoordinatorProcess coordinator(settings.coordinator, folder.path());
  const auto jobs_service = v1::TrainingJobService::NewStub(own_channel(coordinator.address));
  const auto pass = [&] { std::this_thread::sleep_for(std::chrono::seconds(settings.seconds)); };

  if (settings.only == "moves") return ask_why_weights_moved(coordinator, *jobs_service, folder.path());
  StepReporter alone(coordinator.address, create_job(*jobs_service, "alone", 1), 1);
  std::vector<double> one_by_one;
  for (int i = 0; i < kStepsAlone; ++i) one_by_one.push_back(alone.report_one().count());
  std::ranges::sort(one_by_one);
  std::printf("%-48s p50 %8.3f ms (at most 0.150 ms)\n", "one job alone, ReportStep over loopback",
              1e3 * one_by_one[one_by_one.size() / 2]);
  std::vector<double> empty;
  for (int i = 0; i < kStepsAlone; ++i) empty.push_back(seconds_of_heartbeat(alone));
  std::ranges::sort(empty);
  std::printf("%-48s p50 %8.3f ms\n", "  a call that stores nothing, Heartbeat", 1e3 * empty[empty.size() / 2]);
  if (settings.only == "alone") return;

  if (settings.only != "lists") {
    Jobs one;
    one.push_back(std::make_unique<StepReporter>(coordinator.address, create_job(*jobs_service, "watched", 1), 1));
    const Heartbeats heartbeats(coordinator.address, one, 1);
    begin(one, 1);
    measure(one, pass);  // warms up
    browsers_in_turns(settings, coordinator, one, "one job alone");
    stop(one);
  }
  if (settings.only == "browsers") return;

  Jobs jobs;
  for (int i = 0; i < settings.jobs; ++i) {
    jobs.push_back(std::make_unique<StepReporter>(
        coordinator.address, create_job(*jobs_service, "load" + std::to_string(i), settings.ranks), settings.ranks));
  }
  Heartbeats heartbeats(coordinator.address, jobs, settings.ranks);
  std::printf("%d ranks in %d jobs\n", settings.jobs * settings.ranks, settings.jobs);

  if (settings.only == "lists") {
    begin(jobs, 1);
    measure(jobs, pass);  // warms up
    lists_in_turns(settings, coordinator, jobs);
    return stop(jobs);
  }
  begin(jobs, kStepsAtOnce);
  say("ReportSteps, 64 steps a commit", measure(jobs, pass));
  stop(jobs);
  begin(jobs, 1);
  say("ReportStep, a commit each", measure(jobs, pass));

  const std::string idle = create_job(*jobs_service, "idle", 1);
  take_turns(settings, jobs, "  the same beside " + std::to_string(kWatchers) + " idle watchers", 1.05, [&] {
    auto watchers = std::make_unique<IdleWatchers>(coordinator.address, idle, kWatchers);
    if (watchers->admitted() < kWatchers) throw std::runtime_error("a watcher was not let in");
    return watchers;
  });
  browsers_in_turns(settings, coordinator, jobs, "  the same");
  lists_in_turns(settings, coordinator, jobs);

  ask_why_weights_moved(coordinator, *jobs_service, folder.path());
  std::printf("%-48s %.3f s (at most 1 s)\n", "a scrape beside ten slow clients",
              scrape_beside_slow_clients(coordinator.metrics));

  const std::unique_ptr<StepReporter> removed = std::move(jobs.back());
  jobs.pop_back();
  removed->stop();
  heartbeats.leave_out(removed->job_id());
  const std::int64_t steps = removed->steps();
  const Latencies quiet = measure(jobs, pass);
  const Latencies deleting = measure(jobs, [&] {
    remove(*jobs_service, *removed);
    pass();
  });
  say_change("  while a job of " + std::to_string(steps) + " steps is deleted", deleting, quiet, 100);
  std::printf("%-48s %.1f ms, without it %.1f ms (at most 50 ms more)\n", "  the longest that a step waited",
              1e3 * deleting.at(1), 1e3 * quiet.at(1));
  stop(jobs);
  std::printf("%-48s %.0f MiB (at most 512 MiB)\n", "the most memory of the coordinator", coordinator.peak_mib());
  std::printf("%-48s %lld answered, %lld late or refused\n", "heartbeats",
              static_cast<long long>(heartbeats.answered()), static_cast<long long>(heartbeats.failed()));
}

}  // namespace
}  // namespace equipoise::load

int main(int argc, char** argv) {
  using namespace equipoise::load;
  try {
    if (argc == 3 && std::string(argv[1]) == kListsOption) list_for_ever(argv[2]);
    run(settings_of(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
