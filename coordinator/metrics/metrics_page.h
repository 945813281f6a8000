// /metrics over HTTP, for Prometheus to read.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include <memory>
#include <string>

namespace equipoise::coordinator {

// Sixteen connections at a time, of which each has 3 s for its request: whoever sends half of one keeps nobody out.
class MetricsPage {
 public:
  // `address` is HOST:PORT with port 0 for any free one. Throws std::runtime_error when it cannot be listened on.
  MetricsPage(const std::string& address, const std::shared_ptr<prometheus::Collectable>& collectable);
  ~MetricsPage();
  MetricsPage(const MetricsPage&) = delete;
  MetricsPage& operator=(const MetricsPage&) = delete;

  int port() const { return port_; }

 private:
  std::string host_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  int port_;
};

}  // namespace equipoise::coordinator
