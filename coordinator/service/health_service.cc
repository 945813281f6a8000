#include "coordinator/service/health_service.h"

#include <exception>
#include <optional>
#include <utility>

#include "common/base/message_text.h"
#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

HealthCheckResponse::ServingStatus serving_status(bool is_serving) {
  return is_serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

std::set<std::string> with_whole(const std::vector<std::string>& services) {
  std::set<std::string> names(services.begin(), services.end());
  names.insert("");
  return names;
}

}  // namespace

// Sends the newest status, and those before only as fast as its reader reads.
class HealthService::Watcher final : public RpcCall {
 public:
  Watcher(const CallPlace& place, HealthService& health) : RpcCall(place), health_(health) {}

  void show(HealthCheckResponse::ServingStatus status) {
    const std::lock_guard lock(mutex_);
    if (is_over_ || shown_ == status) return;
    wanted_ = status;
    if (!is_writing_) write();
  }

 private:
  void received(grpc::ByteBuffer& message) override {
    HealthCheckRequest request;
    try {
      parse(message, request);
    } catch (...) {
      return end(status_of(std::current_exception()));
    }
    if (!health_.services_.contains(request.service())) return show(HealthCheckResponse::SERVICE_UNKNOWN);
    const std::lock_guard lock(health_.mutex_);
    health_.watchers_.insert(this);
    show(serving_status(health_.serves()));
  }
  void no_message() override { end(grpc::Status::CANCELLED); }
  void cancelled() override { end(grpc::Status::CANCELLED); }
  void ended() override {
    health_.remove(*this);
    const std::lock_guard lock(mutex_);  // whoever has finished it has come out of it
    boundary().count(method(), end_);
  }
  void end(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_over_, true)) return;
    end_ = status;
    if (!is_writing_) finish();
  }
  void write() {
    shown_ = *std::exchange(wanted_, std::nullopt);
    HealthCheckResponse message;
    message.set_status(*shown_);
    bytes_ = bytes_of(message);
    is_writing_ = true;
    begin_sending();
    StartWrite(&bytes_);
  }
  void finish() {
    begin_sending();
    Finish(end_);
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    end_sending();
    if (ok) note_answer();
    is_writing_ = false;
    if (!ok && !std::exchange(is_over_, true)) end_ = grpc::Status::CANCELLED;
    if (is_over_) return finish();
    if (wanted_) write();
  }

  HealthService& health_;
  std::mutex mutex_;  // guards all below
  grpc::ByteBuffer bytes_;
  std::optional<HealthCheckResponse::ServingStatus> shown_, wanted_;
  bool is_writing_ = false, is_over_ = false;
  grpc::Status end_;
};

HealthService::HealthService(CallGate& gate, JobMetrics& metrics, const std::vector<std::string>& services)
    : boundary_(gate, metrics, "Health"), services_(with_whole(services)) {}

void HealthService::add_to(CallTable& calls) {
  const std::string service = "grpc.health.v1.Health";
  calls.add_unary<HealthCheckRequest, HealthCheckResponse>(service, "Check", boundary_, [this](auto& call) {
    call.finish(boundary_.answer(call.method(), [&] { check(call.request, call.response); }));
  });
  calls.add(service, "Watch", boundary_, [this](const CallPlace& place) { return new Watcher(place, *this); });
}

void HealthService::check(const HealthCheckRequest& request, HealthCheckResponse& response) {
  if (!services_.contains(request.service())) {
    throw Refusal(Refusal::Code::kNotFound, "there is no service " + quoted_text(request.service()));
  }
  const std::lock_guard lock(mutex_);
  response.set_status(serving_status(serves()));
}

void HealthService::set_serving(bool is_serving) {
  const std::lock_guard lock(mutex_);
  is_serving_ = is_serving;
  show();
}

void HealthService::set_ticking(bool is_ticking) {
  const std::lock_guard lock(mutex_);
  is_ticking_ = is_ticking;
  show();
}

void HealthService::show() {
  for (Watcher* const watcher : watchers_) watcher->show(serving_status(serves()));
}

void HealthService::remove(Watcher& watcher) {
  const std::lock_guard lock(mutex_);
  watchers_.erase(&watcher);
}

}  // namespace equipoise::coordinator
