// Calls of ranks over real gRPC while the core is busy, as with a disk that does not answer.
#include "coordinator/service/worker_service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <iterator>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/secret_file.h"
#include "common/base/service_access.h"
#include "common/protocol/attempt_token.h"
#include "coordinator/service/host_service.h"
#include "equipoise/v1/host.grpc.pb.h"
#include "equipoise/v1/worker.grpc.pb.h"
#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace worker_service_test {

using namespace std::chrono_literals;

std::size_t num_threads() {
  const std::filesystem::directory_iterator threads("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(threads), end(threads)));
}

class BusyCoreTest : public ControllerFixture {
 protected:
  BusyCoreTest() : id_(running_job(v1::LAUNCH_MODE_COORDINATOR, 1)), shared_(*core_, 16) {
    const std::string token = new_token();
    operator_ = {kAuthorizationMetadata, kBearer + token};
    write_secret_file(folder_.path() / "tokens", token_line({.role = "operator", .name = "alice"}, token));
    gate_.emplace(AccessSettings{.tokens = folder_.path() / "tokens", .limits = {}}, clock_);
    people_.emplace(PoolSize{.threads = 2});
    service_.emplace(shared_, core_->table().attempt_tokens(), *gate_, *metrics_);
    hosts_.emplace(shared_, *gate_, *metrics_, *people_);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    service_->add_to(calls_);
    hosts_->add_to(calls_);
    builder.RegisterCallbackGenericService(&calls_);
    server_ = builder.BuildAndStart();
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials());
    ranks_ = v1::WorkerService::NewStub(channel_);
    holder_ = std::thread([this] {
      shared_.run([this](JobController& /*core*/) {
        is_held_.count_down();
        may_go_on_.wait();
      });
    });
    is_held_.wait();
  }
  ~BusyCoreTest() override {
    go_on();
    server_->Shutdown(std::chrono::system_clock::now() + 5s);
  }
  void go_on() {
    if (!holder_.joinable()) return;
    may_go_on_.count_down();
    holder_.join();
  }

  // A call that is under way.
  struct Beat {
    grpc::ClientContext context;
    v1::HeartbeatRequest request;
    v1::HeartbeatResponse response;
    std::unique_ptr<std::latch> ended = std::make_unique<std::latch>(1);
    grpc::Status status;
  };
  std::unique_ptr<Beat> begin_heartbeat(const std::string& token) {
    auto beat = std::make_unique<Beat>();
    beat->context.set_deadline(std::chrono::system_clock::now() + 60s);
    beat->context.AddMetadata(kAttemptTokenMetadata, token);
    beat->request = heartbeat_request(id_, 1, 0);
    Beat* const one = beat.get();
    ranks_->async()->Heartbeat(&one->context, &one->request, &one->response, [one](const grpc::Status& status) {
      one->status = status;
      one->ended->count_down();
    });
    return beat;
  }

  const std::string id_;
  SharedController shared_;
  std::pair<std::string, std::string> operator_;
  std::optional<CallGate> gate_;
  ConnectionMeter connections_;
  CallWaits call_waits_;
  CallTable calls_{{.waits = call_waits_, .connections = connections_}};
  std::optional<CallPool> people_;
  std::optional<WorkerService> service_;
  std::optional<HostService> hosts_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::WorkerService::Stub> ranks_;
  std::latch is_held_{1}, may_go_on_{1};
  std::thread holder_;
};

// Each wrong token took the lock of the core, behind which ranks waited.
TEST_F(BusyCoreTest, AWrongTokenIsRefusedWithoutTheCore) {
  for (const std::string& token : {std::string(64, 'a'), std::string("x"), std::string(60'000, 'b').substr(0, 4096)}) {
    const auto beat = begin_heartbeat(token);
    beat->ended->wait();
    EXPECT_EQ(beat->status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << beat->status.error_message();
  }
  const auto right = begin_heartbeat(launcher_.started.back().token);
  go_on();
  right->ended->wait();
  EXPECT_TRUE(right->status.ok()) << right->status.error_message();
}

// Each call had a thread while it waited.
TEST_F(BusyCoreTest, RanksThatWaitHaveNoThreadOfTheirOwn) {
  const std::string token = launcher_.started.back().token;
  std::vector<std::unique_ptr<Beat>> beats;
  beats.push_back(begin_heartbeat(std::string(64, 'a')));
  beats.back()->ended->wait();  // gRPC has its own threads by now
  const std::size_t before = num_threads();
  for (int i = 0; i < 500; ++i) beats.push_back(begin_heartbeat(token));
  const auto last = begin_heartbeat(std::string(64, 'a'));
  last->ended->wait();  // on the same connection, so all before it have come
  EXPECT_LE(num_threads(), before + 16);
  go_on();
  for (std::size_t i = 1; i < beats.size(); ++i) {
    beats[i]->ended->wait();
    EXPECT_TRUE(beats[i]->status.ok()) << beats[i]->status.error_message();
  }
}

TEST_F(BusyCoreTest, CallsAboutHostsWaitWithoutAThreadToo) {
  const auto stub = v1::HostService::NewStub(channel_);
  struct Listing {
    grpc::ClientContext context;
    v1::ListHostsResponse response;
    std::latch ended{1};
    grpc::Status status;
  };
  const v1::ListHostsRequest request;
  std::vector<std::unique_ptr<Listing>> listings;
  const std::size_t before = num_threads();
  for (int i = 0; i < 100; ++i) {
    listings.push_back(std::make_unique<Listing>());
    Listing* const one = listings.back().get();
    one->context.AddMetadata(operator_.first, operator_.second);
    stub->async()->ListHosts(&one->context, &request, &one->response, [one](const grpc::Status& status) {
      one->status = status;
      one->ended.count_down();
    });
  }
  begin_heartbeat(std::string(64, 'a'))->ended->wait();
  EXPECT_LE(num_threads(), before + 16);
  go_on();
  for (const auto& one : listings) {
    one->ended.wait();
    EXPECT_TRUE(one->status.ok()) << one->status.error_message();
  }
}

}  // namespace worker_service_test
}  // namespace equipoise::coordinator
