// The HTTP port of the coordinator: the page, its API, /metrics and /healthz. The API calls what the gRPC service
// calls, under the same rules of who may (access/call_rules.h); routes are in http_routes.h.
#pragma once

#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
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
#include "coordinator/service/file_pool.h"
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

class CurvesKept;

class HttpService {
 public:
  // Serves when it returns. All references outlive it. Throws as HttpServer does.
  HttpService(const HttpSettings& settings, SharedController& shared, FilePool& files, CallGate& gate,
              JobMetrics& metrics, const Clock& clock);
  // Streams are closed and no call is under way any more; the pool is stopped.
  ~HttpService();
  HttpService(const HttpService&) = delete;
  HttpService& operator=(const HttpService&) = delete;

  int port() const { return server_->port(); }

 private:
  using SharedRequest = std::shared_ptr<const HttpRequest>;
  // Of the API, and let in; it counts among its caller's until it is answered.
  struct Call {
    SharedRequest request;
    RouteMatch match;
    std::shared_ptr<const AdmittedCall> admitted;
    HttpDone done;
  };
  HttpTurn turn(const SharedRequest& request, const HttpPeer& peer);
  HttpTurn call(const SharedRequest& request, const HttpPeer& peer, const RouteMatch& match);
  HttpTurn open_page(const HttpPeer& peer, const char* page, HttpResponse (HttpService::*make)());
  void serve(const Call& call);
  void end(const Call& call, const std::exception_ptr& failure, HttpReply reply) const;
  HttpReply answer(const Call& call);
  std::string read(const HttpRequest& request, const RouteMatch& match);
  std::string change(const HttpRequest& request, const RouteMatch& match, const AdmittedCall& admitted);
  void curves(const Call& call);
  void moves(const Call& call);
  void log(const Call& call);
  void read_file(const Call& call, const std::filesystem::path& file, std::function<std::string()> work);
  // The same, where more is to be done with what was read than to answer with it.
  void read_file(const Call& call, const std::filesystem::path& file, std::function<std::string()> work,
                 const std::function<void(const std::string&)>& use);
  std::shared_ptr<const AdmittedCall> admit(const HttpRequest& request, const HttpPeer& peer, const HttpRoute& route);
  HttpResponse health(const HttpPeer& peer);
  HttpResponse metrics_page();

  const HttpSettings settings_;
  SharedController& shared_;
  JobMetrics& metrics_;
  const RpcBoundary boundary_;
  PrincipalLimits without_token_;             // of each address, for what needs no token
  const std::shared_ptr<CurvesKept> curves_;  // which work on files keeps
  std::mutex metrics_making_;                 // has who makes the page
  std::mutex metrics_mutex_;                  // guards the one below
  std::string metrics_text_;                  // the newest page
  JobFeed feed_;
  FilePool& files_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace equipoise::coordinator
