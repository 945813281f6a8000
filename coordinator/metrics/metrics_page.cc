#include "coordinator/metrics/metrics_page.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <stop_token>
#include <thread>

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kThreads = 2;

void connect_once(const std::string& host, int port) {
  const std::string bare = host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(bare.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> first(found, &::freeaddrinfo);
  const int connection = ::socket(first->ai_family, first->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connection < 0) return;
  static_cast<void>(::connect(connection, first->ai_addr, first->ai_addrlen));
  ::close(connection);
}

}  // namespace

MetricsPage::MetricsPage(const std::string& address, const std::shared_ptr<prometheus::Registry>& registry)
    : host_(address.substr(0, address.rfind(':'))),
      exposer_(std::make_unique<prometheus::Exposer>(address, kThreads)),
      port_(exposer_->GetListeningPorts().front()) {
  exposer_->RegisterCollectable(registry);
}

// civetweb looks up from its socket every 2 s only, or when somebody connects.
MetricsPage::~MetricsPage() {
  const std::jthread caller([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      connect_once(host_, port_);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  exposer_.reset();
}

}  // namespace equipoise::coordinator
