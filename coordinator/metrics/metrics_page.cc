#include "coordinator/metrics/metrics_page.h"

#include <CivetServer.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <stop_token>
#include <string_view>
#include <thread>
#include <vector>

namespace equipoise::coordinator {
namespace {

// A request that does not end takes a thread for as long as one may take.
constexpr const char* kThreads = "16";
constexpr const char* kLongestRequestMs = "3000";
constexpr std::string_view kPath = "/metrics";
constexpr int kAnsweredHere = 1, kAnsweredByHandler = 0;  // what civetweb makes of a callback's result

// Without a body, as an answer to HEAD has none and the others need none.
int answer(mg_connection* connection, const char* status, const char* headers) {
  mg_printf(connection, "HTTP/1.1 %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", status, headers);
  return kAnsweredHere;
}

// Before prometheus-cpp's handler, which knows GET alone and calls everything else, HEAD too, not found.
int begin_request(mg_connection* connection) {
  const mg_request_info& request = *mg_get_request_info(connection);
  const std::string_view method(request.request_method);
  if (request.local_uri == nullptr || request.local_uri != kPath) return answer(connection, "404 Not Found", "");
  if (method == "GET") return kAnsweredByHandler;
  if (method == "OPTIONS") return answer(connection, "204 No Content", "Allow: GET, HEAD, OPTIONS\r\n");
  if (method != "HEAD") return answer(connection, "405 Method Not Allowed", "Allow: GET, HEAD, OPTIONS\r\n");
  mg_printf(connection, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n");
  return kAnsweredHere;
}

CivetCallbacks make_callbacks() {
  CivetCallbacks callbacks;
  callbacks.begin_request = begin_request;
  return callbacks;
}

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

MetricsPage::MetricsPage(const std::string& address, const std::shared_ptr<prometheus::Collectable>& collectable)
    : host_(address.substr(0, address.rfind(':'))),
      exposer_([&] {
        const CivetCallbacks callbacks = make_callbacks();
        const std::vector<std::string> options = {"listening_ports",    address,          "num_threads", kThreads,
                                                  "request_timeout_ms", kLongestRequestMs};
        return std::make_unique<prometheus::Exposer>(options, &callbacks);
      }()),
      port_(exposer_->GetListeningPorts().front()) {
  exposer_->RegisterCollectable(collectable);
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
