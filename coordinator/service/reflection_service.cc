#include "coordinator/service/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <mutex>
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

// One answer after the other. Deletes itself at the end.
class ReflectionService::Stream final
    : public grpc::ServerBidiReactor<ServerReflectionRequest, ServerReflectionResponse> {
 public:
  explicit Stream(ReflectionService& service) : service_(service) {}

  void begin(std::shared_ptr<const AdmittedCall> place) {
    place_ = std::move(place);
    StartRead(&request_);
  }
  // At most once takes effect.
  void end(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_over_, true)) return;
    end_ = status;
    Finish(status);
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return end(grpc::Status::OK);
    if (++answers_ > kMostAnswers) {
      return end(status_of(std::make_exception_ptr(
          Refusal(Refusal::Code::kResourceExhausted,
                  "this stream has had " + std::to_string(kMostAnswers) + " answers, as many as one may"))));
    }
    response_ = service_.answer(request_);
    StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return end(grpc::Status::CANCELLED);
    StartRead(&request_);
  }
  // A read or a write that is under way ends without success.
  void OnCancel() override {}
  void OnDone() override {
    service_.boundary_.count("ServerReflectionInfo", end_);
    delete this;
  }

  ReflectionService& service_;
  std::shared_ptr<const AdmittedCall> place_;
  ServerReflectionRequest request_;
  ServerReflectionResponse response_;
  int answers_ = 0;
  std::mutex mutex_;  // guards all below
  bool is_over_ = false;
  grpc::Status end_;
};

ReflectionService::ReflectionService(CallGate& gate, JobMetrics& metrics, std::vector<std::string> services)
    : boundary_(gate, metrics, "ServerReflection"), services_(std::move(services)) {}

grpc::ServerBidiReactor<ServerReflectionRequest, ServerReflectionResponse>* ReflectionService::ServerReflectionInfo(
    grpc::CallbackServerContext* context) {
  auto* const stream = new Stream(*this);
  try {
    stream->begin(boundary_.admit(*context, "ServerReflectionInfo"));
  } catch (...) {
    stream->end(status_of(std::current_exception()));
  }
  return stream;
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
