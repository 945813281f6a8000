#include "coordinator/service/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <exception>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "coordinator/job/refusal.h"
#include "equipoise/v1/error.pb.h"

namespace equipoise::coordinator {
namespace {

// Whoever wants more opens another stream, which counts among his calls.
constexpr int kMostAnswers = 1000;

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1alpha::FileDescriptorResponse;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

// With the files that it imports, each once.
void add_file(const FileDescriptor& file, std::set<const FileDescriptor*>& added, FileDescriptorResponse& response) {
  if (!added.insert(&file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  response.add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) add_file(*file.dependency(i), added, response);
}

// Tools that show an error ask for the messages in its details, google.rpc.ErrorInfo and so on, whose file is not
// installed with Protobuf: ours with these names have the same fields.
constexpr std::string_view kDetailsFile = "google/rpc/error_details.proto", kDetailsPackage = "google.rpc";

void name_after_details(google::protobuf::DescriptorProto& message, const std::string& from) {
  const std::string to = "." + std::string(kDetailsPackage) + ".";
  for (auto& field : *message.mutable_field()) {
    if (field.type_name().starts_with(from)) field.set_type_name(to + field.type_name().substr(from.size()));
  }
  for (auto& nested : *message.mutable_nested_type()) name_after_details(nested, from);
}

const google::protobuf::FileDescriptorProto& details_file() {
  static const auto kFile = [] {
    const FileDescriptor& ours = *v1::ErrorInfo::descriptor()->file();
    google::protobuf::FileDescriptorProto file;
    ours.CopyTo(&file);
    file.set_name(std::string(kDetailsFile));
    file.set_package(std::string(kDetailsPackage));
    for (auto& message : *file.mutable_message_type()) name_after_details(message, "." + ours.package() + ".");
    return file;
  }();
  return kFile;
}

bool is_in_details_file(std::string_view symbol) {
  return std::ranges::any_of(details_file().message_type(), [&](const auto& message) {
    return symbol == std::string(kDetailsPackage) + "." + message.name();
  });
}

void set_details_file(ServerReflectionResponse& response) {
  FileDescriptorResponse& files = *response.mutable_file_descriptor_response();
  files.add_file_descriptor_proto(details_file().SerializeAsString());
  std::set<const FileDescriptor*> added;
  const FileDescriptor& ours = *v1::ErrorInfo::descriptor()->file();
  for (int i = 0; i < ours.dependency_count(); ++i) add_file(*ours.dependency(i), added, files);
}

void set_file(const FileDescriptor* file, ServerReflectionResponse& response) {
  if (file == nullptr) {
    response.mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
    response.mutable_error_response()->set_error_message("there is none");
    return;
  }
  std::set<const FileDescriptor*> added;
  add_file(*file, added, *response.mutable_file_descriptor_response());
}

}  // namespace

// One answer after the other.
class ReflectionService::Stream final : public RpcCall {
 public:
  Stream(const CallPlace& place, const ReflectionService& service) : RpcCall(place), service_(service) {}

 private:
  void received(grpc::ByteBuffer& message) override {
    if (++answers_ > kMostAnswers) {
      return end(status_of(std::make_exception_ptr(
          Refusal(Refusal::Code::kResourceExhausted,
                  "this stream has had " + std::to_string(kMostAnswers) + " answers, as many as one may"))));
    }
    ServerReflectionRequest request;
    try {
      parse(message, request);
    } catch (...) {
      return end(status_of(std::current_exception()));
    }
    bytes_ = bytes_of(service_.answer(request));
    begin_sending();
    StartWrite(&bytes_);
  }
  void no_message() override { end(grpc::Status::OK); }
  void OnWriteDone(bool ok) override {
    end_sending();
    if (!ok) return end(grpc::Status::CANCELLED);
    read_message();
  }
  void ended() override { boundary().count(method(), end_); }
  // Once: after it nothing is read or written.
  void end(const grpc::Status& status) {
    end_ = status;
    begin_sending();
    Finish(status);
  }

  const ReflectionService& service_;
  grpc::ByteBuffer bytes_;
  int answers_ = 0;
  grpc::Status end_;
};

ReflectionService::ReflectionService(CallGate& gate, JobMetrics& metrics, std::vector<std::string> services)
    : boundary_(gate, metrics, "ServerReflection"), services_(std::move(services)) {}

void ReflectionService::add_to(CallTable& calls) {
  calls.add("grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo", boundary_,
            [this](const CallPlace& place) { return new Stream(place, *this); });
}

ServerReflectionResponse ReflectionService::answer(const ServerReflectionRequest& request) const {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kListServices:
      for (const std::string& name : services_)
        response.mutable_list_services_response()->add_service()->set_name(name);
      break;
    case ServerReflectionRequest::kFileByFilename:
      if (request.file_by_filename() == kDetailsFile) {
        set_details_file(response);
        break;
      }
      set_file(pool.FindFileByName(request.file_by_filename()), response);
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      if (is_in_details_file(request.file_containing_symbol())) {
        set_details_file(response);
        break;
      }
      set_file(pool.FindFileContainingSymbol(request.file_containing_symbol()), response);
      break;
    default:  // of extensions, of which proto3 has none
      response.mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
      response.mutable_error_response()->set_error_message("there are no extensions");
  }
  return response;
}

}  // namespace equipoise::coordinator
