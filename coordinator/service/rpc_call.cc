#include "coordinator/service/rpc_call.h"

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/slice.h>

#include <optional>
#include <stdexcept>

namespace equipoise::coordinator {

grpc::ByteBuffer bytes_of(const google::protobuf::Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

void parse(grpc::ByteBuffer& bytes, google::protobuf::Message& message) {
  const bool is_one = grpc::SerializationTraits<google::protobuf::Message>::Deserialize(&bytes, &message).ok();
  bytes.Clear();
  if (is_one) return;
  throw std::invalid_argument("the bytes of the request are not those of a " + message.GetDescriptor()->name());
}

RpcCall::RpcCall(const CallPlace& place)
    : place_(place),
      connection_(place.port.connections.of(place.context.peer())),
      wait_(place.port.waits, place.context) {
  if (connection_ != nullptr) place.port.connections.begin_call(*connection_);
}

RpcCall::~RpcCall() {
  if (connection_ != nullptr) connection_->end_call();
}

void RpcCall::begin() {
  const grpc::Status refusal =
      boundary().let_in(method(), [this] { admitted_ = boundary().admit(context(), method()); });
  if (refusal.ok()) {
    was_let_in_ = true;
    return read_message();
  }
  if (refusal.error_code() == grpc::StatusCode::UNAUTHENTICATED) {
    note_vain_call();
  } else if (connection_ != nullptr) {
    connection_->note_refusal();
  }
  note_answer();
  begin_sending();
  Finish(refusal);
}

void RpcCall::read_message() {
  if (connection_ != nullptr) connection_->begin_message();
  wait_.begin(CallWaits::For::kMessage);
  StartRead(&message_);
}

void RpcCall::OnReadDone(bool ok) {
  wait_.end();
  if (connection_ != nullptr && ok) connection_->end_message(message_.Length());
  if (connection_ != nullptr && !ok) place_.port.connections.end_broken_message(*connection_);
  if (ok) {
    has_message_ = true;
    return received(message_);
  }
  if (!has_message_) note_vain_call();  // before it has an answer that nobody waits for
  no_message();
}

void RpcCall::OnCancel() {
  if (!is_answered_) note_vain_call();
  if (was_let_in_) cancelled();
}

void RpcCall::OnDone() {
  if (was_let_in_) ended();
  delete this;
}

void RpcCall::note_vain_call() {
  if (is_vain_.exchange(true)) return;
  if (connection_ != nullptr) place_.port.connections.note_vain_call(*connection_);
}

void AnsweredCall::received(grpc::ByteBuffer& message) {
  const grpc::Status refusal = boundary().let_in(method(), [&] { parse(message, request_); });
  if (!refusal.ok()) return finish(refusal);
  answer();
}

void AnsweredCall::no_message() {
  finish(boundary().answer(method(), [] { throw std::invalid_argument("the call has no message"); }));
}

void AnsweredCall::finish(const grpc::Status& status) {
  if (status.ok()) bytes_ = bytes_of(response_);
  send(status);
}

void AnsweredCall::finish(const grpc::Status& status, grpc::ByteBuffer answer) {
  bytes_.Swap(&answer);
  send(status);
}

void AnsweredCall::send(const grpc::Status& status) {
  const bool is_wrong_token = status.error_code() == grpc::StatusCode::PERMISSION_DENIED && admitted().is_of_stranger();
  if (is_wrong_token) note_vain_call();
  leave();
  note_answer();
  begin_sending();
  if (!status.ok()) return Finish(status);
  StartWriteAndFinish(&bytes_, grpc::WriteOptions(), status);
}

}  // namespace equipoise::coordinator
