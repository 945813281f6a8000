#include "worker/collective/rank_greeting.h"

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <set>
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

}  // namespace equipoise
