#include "tests/coordinator/support/server_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>

namespace equipoise::coordinator {

void ServerFixture::launch_with(const std::string& script) {
  const auto file = folder_.path() / "mpirun";
  std::ofstream(file) << "#!/bin/sh\n" << script << "\n";
  ::chmod(file.c_str(), 0755);
  settings_.mpirun = file;
  restart();
}

ServerFixture::LaunchedJob ServerFixture::launched_job() {
  const auto given = folder_.path() / "token";
  EXPECT_EQ(::mkfifo(given.c_str(), 0600), 0);
  launch_with("echo \"$EQUIPOISE_ATTEMPT_TOKEN\" > " + given.string() + "; exec sleep 1000");
  LaunchedJob job{.id = create(v1::LAUNCH_MODE_COORDINATOR, 1).id(), .token = ""};
  std::ifstream(given) >> job.token;
  return job;
}

void ServerFixture::expect_to_see_the_cancel(const std::string& id, grpc::ClientReader<v1::TrainingJob>& watch) {
  v1::TrainingJob job;
  ASSERT_TRUE(cancel(id).ok());
  ASSERT_TRUE(watch.Read(&job));
  EXPECT_EQ(job.state(), v1::JOB_STATE_CANCELLED);
  EXPECT_FALSE(watch.Read(&job));
  EXPECT_TRUE(watch.Finish().ok());
}

std::string ServerFixture::running_external_job() {
  const std::string id = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
  v1::RegisterWorkerResponse registered;
  EXPECT_TRUE(call(&v1::WorkerService::Stub::RegisterWorker, *ranks_, register_request(id, 0, 0, 1), registered).ok());
  v1::StartTrainingResponse started;
  EXPECT_TRUE(call(&v1::WorkerService::Stub::StartTraining, *ranks_, start_request(id, 1), started).ok());
  return id;
}

std::vector<v1::TrainingJob> ServerFixture::watch_to_the_end(const std::string& id, grpc::Status& status) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  for (const auto& [name, value] : metadata_) context.AddMetadata(name, value);
  v1::WatchTrainingJobRequest request;
  request.set_id(id);
  const auto reader = training_jobs_->WatchTrainingJob(&context, request);
  std::vector<v1::TrainingJob> seen;
  v1::TrainingJob job;
  while (reader->Read(&job)) seen.push_back(job);
  status = reader->Finish();
  return seen;
}

int ServerFixture::begin_http(const std::string& beginning) {
  const ListenAddress address = parse_listen_address("http", server_->http_address());
  sockaddr_in remote{};
  remote.sin_family = AF_INET;
  remote.sin_port = htons(static_cast<std::uint16_t>(address.port));
  ::inet_pton(AF_INET, address.host.c_str(), &remote.sin_addr);
  const int connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::connect(connection, reinterpret_cast<sockaddr*>(&remote), sizeof(remote)), 0);
  EXPECT_EQ(::send(connection, beginning.data(), beginning.size(), 0), static_cast<ssize_t>(beginning.size()));
  return connection;
}

std::string ServerFixture::http(const std::string& method, const std::string& path) {
  const int connection = begin_http(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  std::string page;
  std::array<char, 4096> part{};
  for (ssize_t n = 0; (n = ::recv(connection, part.data(), part.size(), 0)) > 0;)
    page.append(part.data(), static_cast<std::size_t>(n));
  ::close(connection);
  return page;
}

}  // namespace equipoise::coordinator
