// A real coordinator in this process, and one rank that trains a job of two groups by hand.
#pragma once

#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "coordinator/server/coordinator_server.h"
#include "equipoise/v1/worker.grpc.pb.h"
#include "tests/client/support/command_run.h"
#include "tests/support/temp_folder.h"

namespace equipoise {

class RankByHand {
 public:
  // Two steps of two pairs, groups "north" and "south".
  RankByHand(const std::string& coordinator, std::string job);

  void start();
  // Reports the next step; south's loss is the higher one.
  void step();
  void report_evaluation(std::int64_t steps_done, double north_loss, double south_loss);
  // How many checkpoints people have asked for, as a heartbeat's answer says.
  std::int64_t wanted_checkpoints();
  // Of all steps so far.
  void commit_checkpoint();
  void finish();
  void fail(const std::string& reason, v1::FailureKind kind);

 private:
  template <typename Response, typename Request, typename Method>
  Response call(Method method, Request request);

  std::string job_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  std::int64_t generation_ = 0;
  std::int64_t next_step_ = 0;
};

class CoordinatorFixture : public testing::Test {
 protected:
  CoordinatorFixture();

  const TempFolder& folder() const { return folder_; }
  std::string address() const { return server_.address(); }
  std::string job_file() const { return (folder_.path() / "job.yaml").string(); }
  // The command with --coordinator ADDRESS --timeout 5 at its end.
  CommandRun run_here(std::vector<std::string> arguments) const;
  // `submit --external`; the id it printed.
  std::string submitted() const;

 private:
  TempFolder folder_;
  coordinator::SystemClock clock_;
  coordinator::SystemRandomSource random_source_;
  coordinator::CoordinatorServer server_;
};

}  // namespace equipoise
