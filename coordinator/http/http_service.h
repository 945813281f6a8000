// The HTTP port of the coordinator: the page, its API, /metrics and /healthz. The API calls what the gRPC service
// calls, under the same rules of who may (access/call_rules.h); routes are in http_routes.h.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "common/config/path_roots.h"
#include "coordinator/access/call_gate.h"
#include "coordinator/http/http_access.h"
#include "coordinator/http/http_routes.h"
#include "coordinator/http/http_server.h"
#include "coordinator/http/job_feed.h"
#include "coordinator/metrics/job_metrics.h"
#include "coordinator/service/rpc_status.h"
#include "coordinator/service/shared_controller.h"

namespace equipoise::coordinator {

struct HttpSettings {
  ListenAddress listen;
  std::optional<TlsFiles> tls;  // checked
  HttpAccess access;
  PathRoots roots;             // of files of jobs
  std::filesystem::path logs;  // of attempts
  HttpServerLimits limits = {};
};

class HttpService {
 public:
  // Serves when it returns. All references outlive it. Throws as HttpServer does.
  HttpService(const HttpSettings& settings, SharedController& shared, CallGate& gate, JobMetrics& metrics,
              const Clock& clock);
  // Streams are closed and no call is under way any more.
  ~HttpService();
  HttpService(const HttpService&) = delete;
  HttpService& operator=(const HttpService&) = delete;

  int port() const { return server_->port(); }

 private:
  HttpReply answer(const HttpRequest& request, const HttpPeer& peer);
  HttpReply call(const HttpRequest& request, const HttpPeer& peer, const RouteMatch& match);
  std::string read(const HttpRequest& request, const RouteMatch& match);
  std::string change(const HttpRequest& request, const RouteMatch& match, const AdmittedCall& admitted);
  std::string curves(const HttpRequest& request, const std::string& id);
  std::string moves(const HttpRequest& request, const std::string& id);
  std::string log(const HttpRequest& request, const std::string& id);
  std::shared_ptr<const AdmittedCall> admit(const HttpRequest& request, const HttpPeer& peer, const HttpRoute& route);
  HttpResponse health();
  HttpResponse metrics_page();

  const HttpSettings settings_;
  SharedController& shared_;
  JobMetrics& metrics_;
  const RpcBoundary boundary_;
  PrincipalLimits without_token_;  // all callers together, where nobody has a token
  struct KeptCurves {
    std::chrono::steady_clock::time_point until;
    std::string json;
  };
  std::mutex mutex_;                          // guards the one below
  std::map<std::string, KeptCurves> curves_;  // of the last second, by what was asked
  std::mutex metrics_making_;                 // has who makes the page
  std::mutex metrics_mutex_;                  // guards the one below
  std::string metrics_text_;                  // the newest page
  JobFeed feed_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace equipoise::coordinator
