#include "worker/collective/mpi_session.h"

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/error.h"
#include "common/base/network_interfaces.h"

namespace equipoise {
namespace {

constexpr int kGreetingTag = 1;
constexpr int kMostGreeted = 256;
// After the time is over, for a rank whose calls of MPI do return to say more.
constexpr std::chrono::seconds kLastWord{5};
constexpr std::chrono::milliseconds kPause{1};
constexpr std::size_t kMostNamed = 8;

std::set<int> greeted_by(RankInfo info) {
  std::set<int> ranks;
  if (info.world_size <= kMostGreeted) {
    for (int rank = 0; rank < info.world_size; ++rank) ranks.insert(rank);
  }
  for (int distance = 1; distance < info.world_size; distance *= 2) {
    ranks.insert((info.rank + distance) % info.world_size);
    ranks.insert((info.rank - distance + info.world_size) % info.world_size);
  }
  ranks.erase(info.rank);
  return ranks;
}

std::string text_of(const std::vector<int>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < std::min(ranks.size(), kMostNamed); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(ranks[i]);
  }
  if (ranks.size() > kMostNamed) text += " and " + std::to_string(ranks.size() - kMostNamed) + " more";
  return text;
}

// A message to and one from another rank.
struct Exchange {
  int rank;
  int sent = 0, received = 0;
  std::array<MPI_Request, 2> requests{MPI_REQUEST_NULL, MPI_REQUEST_NULL};

  bool is_done() {
    int done = 0;
    const int code = MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
    return code == MPI_SUCCESS && done != 0;
  }
};

}  // namespace

std::string not_reached_text(const std::string& rank, const std::string& whom, std::chrono::seconds waited) {
  return "rank " + rank + " on " + host_name() + " (" + network_interfaces_text() + ") has waited " +
         std::to_string(waited.count()) + " s for " + whom +
         " over MPI: all hosts must reach each other over TCP; check their firewalls, and which network Open MPI takes "
         "(launch.mpi_options: btl_tcp_if_include)";
}

StartWatch::StartWatch(std::chrono::seconds timeout)
    : timeout_(timeout), end_(std::chrono::steady_clock::now() + timeout), thread_([this] { run(); }) {}

StartWatch::~StartWatch() {
  {
    const std::lock_guard lock(mutex_);
    has_started_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void StartWatch::run() {
  std::unique_lock lock(mutex_);
  if (changed_.wait_until(lock, end_ + kLastWord, [this] { return has_started_; })) return;
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  const std::string text = not_reached_text(rank == nullptr ? "?" : rank, "the other ranks", timeout_);
  std::fprintf(stderr, "equipoise-worker: %s\n", text.c_str());
  std::_Exit(EXIT_FAILURE);
}

void greet_other_ranks(RankInfo info, const StartWatch& watch) {
  std::vector<Exchange> exchanges;
  for (const int rank : greeted_by(info)) exchanges.push_back({.rank = rank});
  for (Exchange& exchange : exchanges) {
    MPI_Irecv(&exchange.received, 1, MPI_INT, exchange.rank, kGreetingTag, MPI_COMM_WORLD, &exchange.requests[0]);
    MPI_Isend(&exchange.sent, 1, MPI_INT, exchange.rank, kGreetingTag, MPI_COMM_WORLD, &exchange.requests[1]);
  }
  while (true) {
    std::vector<int> silent;
    for (Exchange& exchange : exchanges) {
      if (!exchange.is_done()) silent.push_back(exchange.rank);
    }
    if (silent.empty()) return;
    if (watch.is_over()) {
      throw PeerError(not_reached_text(std::to_string(info.rank), text_of(silent), watch.timeout()));
    }
    std::this_thread::sleep_for(kPause);
  }
}

namespace {

void check_mpi(int code, const char* operation) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw PeerError(std::string(operation) + " failed: " + std::string(text, static_cast<std::size_t>(length)));
}

RankInfo info_of(MPI_Comm communicator) {
  RankInfo info;
  MPI_Comm_rank(communicator, &info.rank);
  MPI_Comm_size(communicator, &info.world_size);
  return info;
}

int mpi_count(std::size_t count) {
  if (count > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw std::invalid_argument("a collective of " + std::to_string(count) + " elements, at most 2^31-1 are possible");
  }
  return static_cast<int>(count);
}

class MpiRequest : public PendingSum {
 public:
  MpiRequest(const char* operation, int rank, WaitLimit limit) : operation_(operation), rank_(rank), limit_(limit) {}

  MPI_Request* get() { return &request_; }

  void wait() override {
    const auto start = std::chrono::steady_clock::now();
    for (int polls = 0;; ++polls) {
      int done = 0;
      check_mpi(MPI_Test(&request_, &done, MPI_STATUS_IGNORE), operation_);
      if (done != 0) return;
      back_off(polls);
      // The clock is read rarely: a collective of a few numbers takes less than a microsecond.
      if (polls % 256 == 255 && limit_.is_over(start)) throw_late();
    }
  }

 private:
  // Ranks may outnumber cores, so a waiting rank gives its core away; after about a millisecond it sleeps.
  static void back_off(int polls) {
    if (polls < 200) return;
    if (polls < 2000) {
      sched_yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }

  [[noreturn]] void throw_late() const {
    throw PeerError("rank " + std::to_string(rank_) + " waited " + std::to_string(limit_.usual().count()) +
                    " s for the other ranks in " + operation_);
  }

  const char* operation_;
  int rank_;
  WaitLimit limit_;
  MPI_Request request_ = MPI_REQUEST_NULL;
};

class MpiRanks : public HostRanks {
 public:
  MpiRanks(MPI_Comm ranks, RankInfo info, WaitLimit limit) : ranks_(ranks), info_(info), limit_(limit) {}

  RankInfo info() const override { return info_; }

  void all_reduce_sum(std::span<double> values) override {
    MpiRequest request("all_reduce_sum", info_.rank, limit_);
    check_mpi(MPI_Iallreduce(MPI_IN_PLACE, values.data(), mpi_count(values.size()), MPI_DOUBLE, MPI_SUM, ranks_,
                             request.get()),
              "all_reduce_sum");
    request.wait();
  }

  std::unique_ptr<PendingSum> start_sum(std::span<double> values) override {
    return start_sum(values.data(), values.size(), MPI_DOUBLE);
  }
  std::unique_ptr<PendingSum> start_sum(std::span<float> values) override {
    return start_sum(values.data(), values.size(), MPI_FLOAT);
  }

  void broadcast(std::span<std::byte> bytes, int root) override {
    MpiRequest request("broadcast", info_.rank, limit_);
    check_mpi(MPI_Ibcast(bytes.data(), mpi_count(bytes.size()), MPI_BYTE, root, ranks_, request.get()), "broadcast");
    request.wait();
  }

 private:
  std::unique_ptr<PendingSum> start_sum(void* values, std::size_t count, MPI_Datatype type) {
    auto request = std::make_unique<MpiRequest>("all_reduce_sum of gradients", info_.rank, limit_);
    check_mpi(MPI_Iallreduce(MPI_IN_PLACE, values, mpi_count(count), type, MPI_SUM, ranks_, request->get()),
              "all_reduce_sum of gradients");
    return request;
  }

  MPI_Comm ranks_;
  RankInfo info_;
  WaitLimit limit_;
};

}  // namespace

struct MpiSession::LocalRanks {
  MPI_Comm communicator = MPI_COMM_NULL;
  ~LocalRanks() {
    if (communicator != MPI_COMM_NULL) MPI_Comm_free(&communicator);
  }
};

MpiSession::MpiSession(std::chrono::seconds start_timeout) : local_ranks_(std::make_unique<LocalRanks>()) {
  const StartWatch watch(start_timeout);
  int provided = 0;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_SERIALIZED) throw PeerError("this MPI does not allow calls from more than one thread");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  info_ = info_of(MPI_COMM_WORLD);
  greet_other_ranks(info_, watch);
  MPI_Comm& host = local_ranks_->communicator;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, info_.rank, MPI_INFO_NULL, &host),
            "MPI_Comm_split_type");
  MPI_Comm_set_errhandler(host, MPI_ERRORS_RETURN);
  local_ = info_of(host);
}

MpiSession::~MpiSession() {
  local_ranks_.reset();
  MPI_Finalize();
}

std::unique_ptr<HostRanks> make_mpi_ranks(const MpiSession& session, WaitLimit limit) {
  return std::make_unique<MpiRanks>(MPI_COMM_WORLD, session.info(), limit);
}

std::unique_ptr<HostRanks> make_local_mpi_ranks(const MpiSession& session, WaitLimit limit) {
  return std::make_unique<MpiRanks>(session.local_ranks_->communicator, session.local(), limit);
}

}  // namespace equipoise
