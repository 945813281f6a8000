#include "coordinator/service/call_table.h"

#include <memory>

namespace equipoise::coordinator {
namespace {

// A call of which there is no method.
class UnknownCall final : public grpc::ServerGenericBidiReactor {
 public:
  UnknownCall(ConnectionMeter& connections, const grpc::CallbackServerContext& context)
      : connection_(connections.of(context.peer())) {
    if (connection_ != nullptr) {
      connections.begin_call(*connection_);
      connections.note_vain_call(*connection_);
    }
    Finish({grpc::StatusCode::UNIMPLEMENTED, "this service has no such call"});
  }

 private:
  void OnDone() override {
    if (connection_ != nullptr) connection_->end_call();
    delete this;
  }

  const std::shared_ptr<ConnectionMeter::Connection> connection_;  // null: nobody knows it
};

}  // namespace

void CallTable::add(const std::string& service, const char* method, const RpcBoundary& boundary, Make make) {
  by_name_.emplace("/" + service + "/" + method,
                   Entry{.method = method, .boundary = boundary, .make = std::move(make)});
}

grpc::ServerGenericBidiReactor* CallTable::CreateReactor(grpc::GenericCallbackServerContext* context) {
  const auto found = by_name_.find(context->method());
  if (found == by_name_.end()) return new UnknownCall(port_.connections, *context);
  const Entry& entry = found->second;
  RpcCall* const call =
      entry.make({.port = port_, .boundary = entry.boundary, .method = entry.method, .context = *context});
  call->begin();
  return call;
}

}  // namespace equipoise::coordinator
