// What every gRPC tool expects to find: grpc.health.v1 and server reflection. Their messages are written out as bytes,
// as their protocol files are not installed with gRPC.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <string>

#include "coordinator/service/coordinator_server.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace standard_services_test {

using ::testing::HasSubstr;

grpc::ByteBuffer buffer_of(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

std::string bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return "";
  std::string bytes;
  for (const auto& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

// Sends one message and returns the first that comes back.
std::string raw_call(const std::string& address, const std::string& method, const std::string& message) {
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  grpc::CompletionQueue queue;
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
  };
  const auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  wait();
  call->Write(buffer_of(message), nullptr);
  wait();
  call->WritesDone(nullptr);
  wait();
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  wait();
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
  EXPECT_TRUE(status.ok()) << status.error_message();
  return bytes_of(answer);
}

// Field `number` of length-delimited type.
std::string field(int number, const std::string& value) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(value.size())} + value;
}

class StandardServicesTest : public ::testing::Test {
 protected:
  static ServerSettings settings_in(const std::filesystem::path& folder) {
    ServerSettings settings;
    settings.listen = {.host = "127.0.0.1", .port = 0};
    settings.state = folder / "state";
    return settings;
  }
  TempFolder folder_;
  SystemClock clock_;
  SystemRandomSource random_source_;
  CoordinatorServer server_{settings_in(folder_.path()), clock_, random_source_};
};

TEST_F(StandardServicesTest, HealthSaysServingForTheWholeAndForEachService) {
  const std::string serving = "\x08\x01";  // HealthCheckResponse{status: SERVING}
  for (const char* service : {"", "equipoise.v1.TrainingJobService", "equipoise.v1.WorkerService"}) {
    EXPECT_EQ(raw_call(server_.address(), "/grpc.health.v1.Health/Check", field(1, service)), serving) << service;
  }
}

TEST_F(StandardServicesTest, ReflectionListsTheServices) {
  constexpr int kListServices = 7;
  const std::string answer = raw_call(
      server_.address(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", field(kListServices, ""));
  EXPECT_THAT(answer, HasSubstr("equipoise.v1.TrainingJobService"));
  EXPECT_THAT(answer, HasSubstr("equipoise.v1.WorkerService"));
  EXPECT_THAT(answer, HasSubstr("grpc.health.v1.Health"));
}

TEST_F(StandardServicesTest, ReflectionDescribesOurMessages) {
  constexpr int kFileContainingSymbol = 4;
  const std::string answer =
      raw_call(server_.address(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
               field(kFileContainingSymbol, "equipoise.v1.TrainingJob"));
  EXPECT_THAT(answer, HasSubstr("state_reason"));
}

}  // namespace standard_services_test
}  // namespace equipoise::coordinator
