// One call of the gRPC port, from its first words on. Who calls is asked before a byte of the message is taken; then
// the message is waited for, and at the end the caller for the answer, neither for ever.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <atomic>
#include <functional>
#include <memory>

#include "coordinator/service/call_waits.h"
#include "coordinator/service/connection_meter.h"
#include "coordinator/service/rpc_status.h"

namespace equipoise::coordinator {

// A message as a call carries it.
grpc::ByteBuffer bytes_of(const google::protobuf::Message& message);
// The message in `bytes`, which are gone then. Throws std::invalid_argument where they are not those of one.
void parse(grpc::ByteBuffer& bytes, google::protobuf::Message& message);

// What all calls share. Both outlive them.
struct CallPort {
  CallWaits& waits;
  ConnectionMeter& connections;
};

// Where one call has come in.
struct CallPlace {
  CallPort port;
  const RpcBoundary& boundary;
  const char* method;  // "GetTrainingJob"
  grpc::CallbackServerContext& context;
};

// Deletes itself when it has ended.
class RpcCall : public grpc::ServerGenericBidiReactor {
 public:
  explicit RpcCall(const CallPlace& place);
  ~RpcCall() override;
  RpcCall(const RpcCall&) = delete;
  RpcCall& operator=(const RpcCall&) = delete;

  // Lets the call in and waits for its message, or ends it. Once, before anything else.
  void begin();

  grpc::CallbackServerContext& context() const { return place_.context; }
  const RpcBoundary& boundary() const { return place_.boundary; }
  const char* method() const { return place_.method; }
  // Of a call that was let in, until leave().
  const AdmittedCall& admitted() const { return *admitted_; }

 protected:
  // Of a call that was let in. received() or no_message() follows.
  void read_message();
  // The message has come. Of one call never two at once.
  virtual void received(grpc::ByteBuffer& message) = 0;
  // None comes any more, as the caller has ended the call, or his half of it.
  virtual void no_message() = 0;
  // The caller has ended the call, or is gone, or was too slow.
  virtual void cancelled() {}
  // Was let in, and is gone now.
  virtual void ended() {}

  // Between the beginning of something that is sent and its end, if that is not the end of the call.
  void begin_sending() { wait_.begin(CallWaits::For::kReader); }
  void end_sending() { wait_.end(); }
  // No more counts among the calls of its caller.
  void leave() { admitted_.reset(); }
  // It is not in vain, whatever becomes of it.
  void note_answer() { is_answered_ = true; }
  void note_vain_call();

 private:
  void OnReadDone(bool ok) final;
  void OnCancel() final;
  void OnDone() final;

  const CallPlace place_;
  const std::shared_ptr<ConnectionMeter::Connection> connection_;  // null: nobody knows it
  CallWaits::Wait wait_;
  std::shared_ptr<const AdmittedCall> admitted_;
  bool was_let_in_ = false;
  bool has_message_ = false;
  std::atomic<bool> is_answered_ = false, is_vain_ = false;
  grpc::ByteBuffer message_;
};

// A call with one answer.
class AnsweredCall : public RpcCall {
 public:
  // The answer, or why there is none. Once, from any thread; nothing may be done with the call afterwards.
  void finish(const grpc::Status& status);
  // With the bytes of an answer, which others may get too, in place of the response.
  void finish(const grpc::Status& status, grpc::ByteBuffer answer);

 protected:
  // Both are of the class that is made of it.
  AnsweredCall(const CallPlace& place, google::protobuf::Message& request, google::protobuf::Message& response)
      : RpcCall(place), request_(request), response_(response) {}
  virtual void answer() = 0;  // finish() follows, sooner or later

 private:
  void received(grpc::ByteBuffer& message) final;
  void no_message() final;
  void send(const grpc::Status& status);

  google::protobuf::Message& request_;
  google::protobuf::Message& response_;
  grpc::ByteBuffer bytes_;  // of the answer
};

// Which live as long as the call.
template <typename RequestType, typename ResponseType>
struct CallMessages {
  RequestType request;
  ResponseType response;
};

template <typename Request, typename Response>
class UnaryCall final : private CallMessages<Request, Response>, public AnsweredCall {
  using Messages = CallMessages<Request, Response>;

 public:
  using Handler = std::function<void(UnaryCall&)>;
  // `handler` outlives it, calls finish(), and may let another thread call it.
  UnaryCall(const CallPlace& place, const Handler& handler)
      : AnsweredCall(place, Messages::request, Messages::response), handler_(handler) {}

  using Messages::request;
  using Messages::response;

 private:
  void answer() override { handler_(*this); }

  const Handler& handler_;
};

}  // namespace equipoise::coordinator
