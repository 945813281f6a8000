// The whole coordinator in one object: state folder, core, launcher, gRPC server, HTTP port.
#pragma once

#include <grpcpp/server.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "common/base/service_access.h"
#include "coordinator/access/call_gate.h"
#include "coordinator/http/http_service.h"
#include "coordinator/job/job_controller.h"
#include "coordinator/launch/mpirun_launcher.h"
#include "coordinator/metrics/job_metrics.h"
#include "coordinator/service/connection_acceptor.h"
#include "coordinator/service/file_pool.h"
#include "coordinator/service/grpc_services.h"
#include "coordinator/service/health_service.h"
#include "coordinator/service/host_service.h"
#include "coordinator/service/listen_address.h"
#include "coordinator/service/reflection_service.h"
#include "coordinator/service/shared_controller.h"
#include "coordinator/service/tls_files.h"
#include "coordinator/service/worker_service.h"
#include "coordinator/store/job_store.h"
#include "coordinator/store/state_folder.h"
#include "coordinator/store/state_room.h"
#include "coordinator/webhook/webhook_sender.h"

namespace equipoise::coordinator {

// What becomes of ranks that train when the coordinator is asked to end.
enum class OnShutdown {
  kLeave,  // they make a checkpoint and leave
  kKeep,   // those that the coordinator has launched go on, and wait for the next one; others leave
};

struct ServerSettings {
  BuildInfo build;
  ListenAddress listen;
  std::optional<ListenAddress> http_listen;  // of the page, its API and /metrics
  bool is_open = false;                      // --insecure: whoever reaches the HTTP port may use the page
  bool has_open_metrics = false;             // --insecure-metrics
  AccessSettings access;
  PathRoots roots;              // which the files of jobs must be in
  std::optional<TlsFiles> tls;  // checked; none: the service speaks plain text
  std::filesystem::path state;
  std::filesystem::path mpirun = "mpirun";
  std::filesystem::path worker;
  Allocation allocation = Allocation::kIgnored;
  ServiceFiles rank_files;               // with which ranks that are launched here call the service; without a token
  std::optional<std::string> advertise;  // host under which ranks on other machines reach us
  std::filesystem::path hostfile = {};   // that the supervisor's hosts are from; for messages
  ControllerSettings controller;
  std::optional<WebhookSettings> webhook;  // checked
  std::size_t max_watchers = 4096;
  FilePoolLimits files;                    // of threads for files of jobs
  std::optional<TickRules> tick_rules;     // absent: those within the lease of a rank
  ConnectionLimits connections;            // of the gRPC port
  FloodLimits floods;                      // of its connections
  CallWaitLimits call_waits;               // of its calls
  std::chrono::seconds shutdown_grace{0};  // for ranks to leave with a checkpoint before they are ended
  Chain chain = Chain::kToCoordinator;
  OnShutdown on_shutdown = OnShutdown::kLeave;  // kKeep: with Chain::kNone
};

RankAddressSettings rank_address_settings(const ServerSettings& settings);

class CoordinatorServer {
 public:
  // Serves when it returns. Where the files of the state folder are deleted or replaced meanwhile, health says
  // NOT_SERVING, and every call that changes anything is UNAVAILABLE. While nothing can be stored, as on a full disk,
  // health says NOT_SERVING too, and SERVING again after a write has worked; likewise while it hangs. Throws
  // std::invalid_argument naming an address that cannot be listened on or a state folder that cannot be used,
  // StoreError for a database that cannot. `clock` and `random_source` outlive it.
  CoordinatorServer(const ServerSettings& settings, const Clock& clock, RandomSource& random_source);
  ~CoordinatorServer();
  CoordinatorServer(const CoordinatorServer&) = delete;
  CoordinatorServer& operator=(const CoordinatorServer&) = delete;

  std::string address() const { return address_.text(); }  // with the port that was chosen
  std::string http_address() const { return http_address_ ? http_address_->text() : ""; }
  SharedController& shared() { return *shared_; }

  // Health says NOT_SERVING, ranks leave with a checkpoint where there is a grace for that, attempts are ended, or with
  // OnShutdown::kKeep left as they are, streams closed, the port given back. Once; the destructor does it too.
  void shut_down();
  // shut_down() waits for no rank to leave any more. From any thread, before it returns.
  void hurry() { shared_->hurry(); }

 private:
  void serve(const ServerSettings& settings);
  void watch_state();
  void serve_http(const ServerSettings& settings, const Clock& clock);

  const std::chrono::seconds shutdown_grace_;
  const OnShutdown on_shutdown_;
  StateFolder folder_;
  StateRoom room_;
  JobStore store_;
  JobMetrics metrics_;
  std::optional<ListenAddress> http_address_;
  ListenAddress address_;
  // Made in this order, destroyed the other way round.
  FilePool files_;
  std::unique_ptr<MpirunLauncher> launcher_;
  std::unique_ptr<JobController> controller_;
  std::unique_ptr<SharedController> shared_;
  std::unique_ptr<WebhookSender> webhook_;
  CallGate gate_;
  ConnectionMeter connections_;
  CallWaits call_waits_;
  CallTable calls_;
  std::unique_ptr<TrainingJobService> job_service_;
  std::unique_ptr<HostService> host_service_;
  std::unique_ptr<WorkerService> worker_service_;
  std::unique_ptr<HealthService> health_service_;
  std::unique_ptr<ReflectionService> reflection_service_;
  std::unique_ptr<HttpService> http_;  // null: none, or shut down
  std::unique_ptr<GrpcTls> tls_;
  std::unique_ptr<grpc::Server> server_;  // null once shut down
  std::unique_ptr<ConnectionAcceptor> acceptor_;
};

}  // namespace equipoise::coordinator
