// Which calls the gRPC port answers. gRPC's own services read the message of a call before anybody is asked whether its
// caller may make it, and wait for it without an end.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <functional>
#include <string>
#include <unordered_map>
#include <utility>

#include "coordinator/service/rpc_call.h"

namespace equipoise::coordinator {

// All calls that the port answers, by name; any other is UNIMPLEMENTED.
class CallTable final : public grpc::CallbackGenericService {
 public:
  explicit CallTable(CallPort port) : port_(port) {}
  CallTable(const CallTable&) = delete;
  CallTable& operator=(const CallTable&) = delete;

  // Before the server starts. `service` has its package before it; what is captured or referred to outlives the server.
  using Make = std::function<RpcCall*(const CallPlace&)>;
  void add(const std::string& service, const char* method, const RpcBoundary& boundary, Make make);
  template <typename Request, typename Response>
  void add_unary(const std::string& service, const char* method, const RpcBoundary& boundary,
                 typename UnaryCall<Request, Response>::Handler handler) {
    add(service, method, boundary, [handler = std::move(handler)](const CallPlace& place) -> RpcCall* {
      return new UnaryCall<Request, Response>(place, handler);
    });
  }

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override;

 private:
  struct Entry {
    const char* method;
    const RpcBoundary& boundary;
    Make make;
  };
  const CallPort port_;
  std::unordered_map<std::string, Entry> by_name_;  // "/equipoise.v1.HostService/ListHosts"
};

}  // namespace equipoise::coordinator
