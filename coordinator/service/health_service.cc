#include "coordinator/service/health_service.h"

#include <exception>
#include <memory>
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

// Sends the newest status, and those before only as fast as its reader reads. Deletes itself at the end.
class HealthService::Watcher final : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  explicit Watcher(HealthService& health) : health_(health) {}

  void keep(std::shared_ptr<const AdmittedCall> place) { place_ = std::move(place); }
  void show(HealthCheckResponse::ServingStatus status) {
    const std::lock_guard lock(mutex_);
    if (is_over_ || shown_ == status) return;
    wanted_ = status;
    if (!is_writing_) write();
  }
  void end(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_over_, true)) return;
    end_ = status;
    if (!is_writing_) Finish(end_);
  }

 private:
  void write() {
    shown_ = *std::exchange(wanted_, std::nullopt);
    message_.set_status(*shown_);
    is_writing_ = true;
    StartWrite(&message_);
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    is_writing_ = false;
    if (!ok && !std::exchange(is_over_, true)) end_ = grpc::Status::CANCELLED;
    if (is_over_) return Finish(end_);
    if (wanted_) write();
  }
  void OnCancel() override { end(grpc::Status::CANCELLED); }
  void OnDone() override {
    health_.remove(*this);
    health_.boundary_.count("Watch", end_);
    delete this;
  }

  HealthService& health_;
  std::shared_ptr<const AdmittedCall> place_;
  std::mutex mutex_;  // guards all below
  HealthCheckResponse message_;
  std::optional<HealthCheckResponse::ServingStatus> shown_, wanted_;
  bool is_writing_ = false, is_over_ = false;
  grpc::Status end_;
};

HealthService::HealthService(CallGate& gate, JobMetrics& metrics, const std::vector<std::string>& services)
    : boundary_(gate, metrics, "Health"), services_(with_whole(services)) {}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context, const HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(boundary_.answer(*context, "Check", [&](const AdmittedCall& /*admitted*/) {
    if (!services_.contains(request->service())) {
      throw Refusal(Refusal::Code::kNotFound, "there is no service " + quoted_text(request->service()));
    }
    const std::lock_guard lock(mutex_);
    response->set_status(serving_status(serves()));
  }));
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(grpc::CallbackServerContext* context,
                                                                    const HealthCheckRequest* request) {
  auto* const watcher = new Watcher(*this);
  try {
    watcher->keep(boundary_.admit(*context, "Watch"));
  } catch (...) {
    watcher->end(status_of(std::current_exception()));
    return watcher;
  }
  if (!services_.contains(request->service())) {
    watcher->show(HealthCheckResponse::SERVICE_UNKNOWN);
    return watcher;
  }
  const std::lock_guard lock(mutex_);
  watchers_.insert(watcher);
  watcher->show(serving_status(serves()));
  return watcher;
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
