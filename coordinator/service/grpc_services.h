// TrainingJobService over gRPC. It unpacks, calls and packs, and decides nothing.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>

#include "coordinator/service/call_pool.h"
#include "coordinator/service/file_pool.h"
#include "coordinator/service/pooled_calls.h"
#include "coordinator/service/rpc_status.h"
#include "coordinator/service/shared_controller.h"
#include "equipoise/v1/training.grpc.pb.h"

namespace equipoise::coordinator {

// What TrainingJobService answers on: gRPC's callbacks, so that no call and no watcher keeps a thread while it waits.
// Bytes instead of messages for what many may ask for at once: they are made once for all of them.
template <typename Base>
using RawReads = v1::TrainingJobService::WithRawCallbackMethod_GetTrainingJob<
    v1::TrainingJobService::WithRawCallbackMethod_ListTrainingJobs<
        v1::TrainingJobService::WithRawCallbackMethod_ListGroupWeights<
            v1::TrainingJobService::WithRawCallbackMethod_ListRanks<
                v1::TrainingJobService::WithRawCallbackMethod_ListAttempts<
                    v1::TrainingJobService::WithRawCallbackMethod_ListCheckpoints<
                        v1::TrainingJobService::WithRawCallbackMethod_ListEvents<Base>>>>>>>;
using CallbackTrainingJobService =
    RawReads<v1::TrainingJobService::WithRawCallbackMethod_WatchTrainingJob<v1::TrainingJobService::CallbackService>>;

// A call that this version of the program does not have is UNIMPLEMENTED.
class TrainingJobService final : public CallbackTrainingJobService {
 public:
  // All outlive it; `files` is stopped before it goes.
  TrainingJobService(SharedController& shared, FilePool& files, CallGate& gate, JobMetrics& metrics);

  // Of people's calls, which the other services of people share.
  CallPool& pool() { return pool_; }

  grpc::ServerUnaryReactor* CreateTrainingJob(grpc::CallbackServerContext* context,
                                              const v1::CreateTrainingJobRequest* request,
                                              v1::TrainingJob* response) override;
  grpc::ServerUnaryReactor* GetTrainingJob(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                           grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ListTrainingJobs(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                             grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* CancelTrainingJob(grpc::CallbackServerContext* context,
                                              const v1::CancelTrainingJobRequest* request,
                                              v1::TrainingJob* response) override;
  grpc::ServerUnaryReactor* PauseTrainingJob(grpc::CallbackServerContext* context,
                                             const v1::PauseTrainingJobRequest* request,
                                             v1::TrainingJob* response) override;
  grpc::ServerUnaryReactor* ResumeTrainingJob(grpc::CallbackServerContext* context,
                                              const v1::ResumeTrainingJobRequest* request,
                                              v1::TrainingJob* response) override;
  grpc::ServerUnaryReactor* CheckpointTrainingJob(grpc::CallbackServerContext* context,
                                                  const v1::CheckpointTrainingJobRequest* request,
                                                  v1::TrainingJob* response) override;
  grpc::ServerUnaryReactor* EvaluateTrainingJob(grpc::CallbackServerContext* context,
                                                const v1::EvaluateTrainingJobRequest* request,
                                                v1::TrainingJob* response) override;
  grpc::ServerUnaryReactor* UpdateTrainingJob(grpc::CallbackServerContext* context,
                                              const v1::UpdateTrainingJobRequest* request,
                                              v1::TrainingJob* response) override;
  grpc::ServerUnaryReactor* ForkTrainingJob(grpc::CallbackServerContext* context,
                                            const v1::ForkTrainingJobRequest* request,
                                            v1::TrainingJob* response) override;
  grpc::ServerUnaryReactor* DeleteTrainingJob(grpc::CallbackServerContext* context,
                                              const v1::DeleteTrainingJobRequest* request,
                                              google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* ListGroupWeights(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                             grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ListRanks(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                      grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ListAttempts(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                         grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ListCheckpoints(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                            grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ListEvents(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchTrainingJob(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer* request) override;

 private:
  // Null: `reactor` has its answer.
  std::shared_ptr<const AdmittedCall> let_in(grpc::CallbackServerContext& context, const char* method,
                                             const google::protobuf::Message& request,
                                             grpc::ServerUnaryReactor& reactor) const;
  // Of a call that makes a job: on a thread for files, and on the core in between.
  template <typename Request>
  grpc::ServerUnaryReactor* make(grpc::CallbackServerContext& context, const char* method, const Request& request,
                                 v1::TrainingJob& response);
  // call(JobController&, const Request&) makes the answer, and changes nothing.
  template <typename Request, typename Call>
  grpc::ServerUnaryReactor* read(grpc::CallbackServerContext& context, const char* method,
                                 const grpc::ByteBuffer& request, grpc::ByteBuffer& response, Call call);
  // call(JobController&) changes something, and makes the answer where there is one.
  template <typename Response, typename Call>
  grpc::ServerUnaryReactor* change(grpc::CallbackServerContext& context, const char* method,
                                   const google::protobuf::Message& request, Response& response, Call call);

  SharedController& shared_;
  RpcBoundary boundary_;
  CallPool pool_;
  const PooledCalls calls_;
  FilePool& files_;
};

}  // namespace equipoise::coordinator
