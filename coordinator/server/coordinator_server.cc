#include "coordinator/server/coordinator_server.h"

#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <climits>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "coordinator/service/webhook_source.h"

namespace equipoise::coordinator {
namespace {

constexpr int kLargestMessage = 4 * 1024 * 1024;
constexpr int kLargestMetadata = 16 * 1024;
// For unary calls under way. A client that is connected but idle does not answer gRPC's goodbye, and uses all of it up.
constexpr std::chrono::milliseconds kCallGrace{250};

std::vector<std::string> our_services() {
  return {"equipoise.v1.TrainingJobService", "equipoise.v1.HostService", "equipoise.v1.WorkerService"};
}

std::vector<std::string> all_services() {
  std::vector<std::string> names = our_services();
  names.insert(names.end(), {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"});
  return names;
}

// How many threads gRPC has depends on the machine's cores, not on calls: all services answer by callbacks.
void limit(grpc::ServerBuilder& builder, const ConnectionLimits& connections, const FloodLimits& floods) {
  constexpr int kShortestPingMs = 10'000;
  constexpr int kMostPingsTooSoon = 2;
  constexpr int kLongestHandshakeMs = 10'000;                 // of TLS, by somebody who may never say a word
  constexpr int kMostReadAtOnce = 64 * 1024;                  // of a connection, before the next has its turn
  constexpr std::size_t kMostBytes = std::size_t{256} << 20;  // in connections; beyond, gRPC gives some up
  builder.SetMaxReceiveMessageSize(kLargestMessage);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kLargestMetadata);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kShortestPingMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, kMostPingsTooSoon);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kLongestHandshakeMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, floods.calls_under_way);  // others wait at their caller
  builder.AddChannelArgument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, kMostReadAtOnce);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, connections.idle_ms);
  builder.SetResourceQuota(grpc::ResourceQuota("equipoise").Resize(kMostBytes));
}

// What `make` makes, on a full disk with the bytes of the reserve that an earlier coordinator has left.
template <typename Make>
auto with_room(StateRoom& room, const Make& make) {
  try {
    return make();
  } catch (const StoreError& failure) {
    if (failure.cause() == StoreError::Cause::kDamaged) throw;
    room.release_reserve();
  }
  try {
    return make();
  } catch (const StoreError& failure) {
    throw StoreError(failure.cause(), failure.what() + room.space_sentence());
  }
}

// What ranks that are launched here get beside the coordinator's own variables.
std::vector<std::string> variables_of_ranks(const ServerSettings& settings) {
  std::vector<std::string> variables;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) variables.push_back(std::string(name) + "=" + value);
  };
  add(kTlsCaVariable, settings.rank_files.tls_ca);
  add(kTlsCertVariable, settings.rank_files.tls_cert);
  add(kTlsKeyVariable, settings.rank_files.tls_key);
  add(kRootsVariable, settings.roots.text());
  return variables;
}

// By which a browser may know this service, beside addresses and localhost.
std::vector<std::string> own_names(const ServerSettings& settings) {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) name[0] = '\0';
  std::vector<std::string> names = {name.data(), settings.advertise.value_or(""), settings.http_listen->host};
  for (std::string& one : names)
    std::ranges::transform(one, one.begin(), [](unsigned char c) { return std::tolower(c); });
  std::erase(names, "");
  return names;
}

[[noreturn]] void refuse_address(const char* flag, const ListenAddress& listen) {
  throw std::invalid_argument(std::string(flag) + " " + listen.text() +
                              ": cannot listen there; the port is in use or the host is not this machine");
}

}  // namespace

RankAddressSettings rank_address_settings(const ServerSettings& settings) {
  return {.advertise = settings.advertise,
          .hosts = settings.controller.supervisor.hosts,
          .allocation = settings.allocation,
          .hostfile = settings.hostfile};
}

CoordinatorServer::CoordinatorServer(const ServerSettings& settings, const Clock& clock, RandomSource& random_source)
    : shutdown_grace_(settings.shutdown_grace),
      on_shutdown_(settings.on_shutdown),
      folder_(settings.state),
      room_(settings.state),
      store_(with_room(room_, [this] { return JobStore(folder_.database()); })),
      files_(settings.files),
      gate_(settings.access, clock),
      connections_(settings.floods),
      call_waits_(settings.call_waits),
      calls_({.waits = call_waits_, .connections = connections_}) {
  metrics_.show_build(settings.build);
  const LaunchSettings launch{.mpirun = settings.mpirun,
                              .worker = settings.worker,
                              .allocation = settings.allocation,
                              .logs = folder_.logs(),
                              .coordinator_address = "",
                              .rank_wait = settings.controller.supervisor.lease.rank_wait,
                              .attempts = folder_.attempts(),
                              .chain = settings.chain,
                              .variables = variables_of_ranks(settings)};
  launcher_ = std::make_unique<MpirunLauncher>(launch, [this](const LaunchExit& exit) { shared_->queue_exit(exit); });
  const Dependencies dependencies{.clock = clock,
                                  .random_source = random_source,
                                  .store = store_,
                                  .metrics = metrics_,
                                  .launcher = *launcher_,
                                  .errands = &files_};
  ControllerSettings controller = settings.controller;
  const bool is_local = settings.controller.supervisor.hosts.empty() && settings.allocation == Allocation::kIgnored;
  controller.outputs = {.ranks_run = is_local ? RanksRun::kOnThisMachine : RanksRun::kElsewhere,
                        .state = settings.state,
                        .roots = settings.roots};
  controller.cleaner.logs = folder_.logs();
  controller_ = with_room(room_, [&] { return std::make_unique<JobController>(controller, dependencies); });
  shared_ = std::make_unique<SharedController>(*controller_, settings.max_watchers);
  job_service_ = std::make_unique<TrainingJobService>(*shared_, files_, gate_, metrics_);
  host_service_ = std::make_unique<HostService>(*shared_, gate_, metrics_, job_service_->pool());
  worker_service_ = std::make_unique<WorkerService>(*shared_, controller_->table().attempt_tokens(), gate_, metrics_);
  health_service_ = std::make_unique<HealthService>(gate_, metrics_, our_services());
  reflection_service_ = std::make_unique<ReflectionService>(gate_, metrics_, all_services());
  if (settings.http_listen) serve_http(settings, clock);
  if (settings.webhook) {
    webhook_ = std::make_unique<WebhookSender>(*settings.webhook, settings.state / "webhook",
                                               webhook_source(*shared_, metrics_, clock));
  }
  serve(settings);
  watch_state();
  launcher_->set_coordinator_address(address_for_ranks(rank_address_settings(settings), address_));
  launcher_->watch_found();
  shared_->start_timer(settings.tick_rules.value_or(rules_within(settings.controller.supervisor.lease.lease)));
}

CoordinatorServer::~CoordinatorServer() { shut_down(); }

void CoordinatorServer::serve_http(const ServerSettings& settings, const Clock& clock) {
  const ListenAddress& listen = *settings.http_listen;
  const HttpSettings http{.listen = listen,
                          .tls = settings.tls,
                          .access = {.is_loopback = listen.is_loopback(),
                                     .has_tls = settings.tls.has_value(),
                                     .has_tokens = settings.access.tokens.has_value(),
                                     .is_open = settings.is_open,
                                     .has_open_metrics = settings.has_open_metrics,
                                     .names = own_names(settings)},
                          .roots = settings.roots,
                          .logs = folder_.logs()};
  try {
    http_ = std::make_unique<HttpService>(http, *shared_, files_, gate_, metrics_, clock);
  } catch (const std::runtime_error&) {
    refuse_address("--http-listen", listen);
  }
  http_address_ = ListenAddress{.host = listen.host, .port = http_->port()};
}

void CoordinatorServer::serve(const ServerSettings& settings) {
  try {
    acceptor_ = std::make_unique<ConnectionAcceptor>(settings.listen, settings.connections, connections_);
  } catch (const std::runtime_error&) {
    refuse_address("--listen", settings.listen);
  }
  if (settings.tls) tls_ = std::make_unique<GrpcTls>(*settings.tls);
  grpc::EnableDefaultHealthCheckService(false);
  grpc::ServerBuilder builder;
  limit(builder, settings.connections, settings.floods);
  using Connections = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
  std::shared_ptr<grpc::experimental::ExternalConnectionAcceptor> connections =
      builder.experimental().AddExternalConnectionAcceptor(
          Connections::FROM_FD, tls_ ? tls_->credentials() : grpc::InsecureServerCredentials());
  job_service_->add_to(calls_);
  host_service_->add_to(calls_);
  worker_service_->add_to(calls_);
  health_service_->add_to(calls_);
  reflection_service_->add_to(calls_);
  builder.RegisterCallbackGenericService(&calls_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) refuse_address("--listen", settings.listen);
  acceptor_->start([connections](int socket) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = socket;
    connections->HandleNewConnection(&connection);
  });
  address_ = {.host = settings.listen.host, .port = acceptor_->port()};
}

void CoordinatorServer::watch_state() {
  folder_.remember_files();
  shared_->watch_state({.loss = [this] { return folder_.loss(); },
                        .on_loss = [this] { health_service_->set_serving(false); },
                        .touch = [this] { folder_.touch(); },
                        .room = &room_,
                        .on_writable = [this](bool is_writable) { health_service_->set_serving(is_writable); },
                        .on_ticking = [this](bool is_ticking) { health_service_->set_ticking(is_ticking); }});
}

void CoordinatorServer::shut_down() {
  if (server_ == nullptr) return;
  if (webhook_) webhook_->end_soon();  // the next coordinator sends what is stored from here on
  shared_->watch_state({.loss = [this] { return folder_.loss(); }, .on_loss = {}, .room = &room_});  // server_ goes
  health_service_->set_serving(false);
  if (on_shutdown_ == OnShutdown::kKeep) {
    shared_->keep_attempts();
  } else {
    shared_->let_leave(shutdown_grace_);
    shared_->end_attempts();
  }
  files_.stop();
  http_.reset();
  webhook_.reset();
  shared_->close_watchers();
  acceptor_.reset();
  server_->Shutdown(std::chrono::system_clock::now() + kCallGrace);
  server_->Wait();
  server_.reset();
  launcher_->stop_watching();
}

}  // namespace equipoise::coordinator
