// TrainingJobService over gRPC. It unpacks, calls and packs, and decides nothing.
#pragma once

#include <string>

#include "coordinator/service/call_pool.h"
#include "coordinator/service/call_table.h"
#include "coordinator/service/file_pool.h"
#include "coordinator/service/pooled_calls.h"
#include "coordinator/service/shared_controller.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

<<<<<<< HEAD
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
=======
class TrainingJobService {
>>>>>>> helper-2
 public:
  // All outlive it; `files` is stopped before it goes.
  TrainingJobService(SharedController& shared, FilePool& files, CallGate& gate, JobMetrics& metrics);

  // Of people's calls, which the other services of people share.
  CallPool& pool() { return pool_; }

<<<<<<< HEAD
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
=======
  // It outlives the server.
  void add_to(CallTable& calls);
>>>>>>> helper-2

 private:
  void add_readers(CallTable& calls);
  void add_changes(CallTable& calls);
  // Of a call that makes a job: on a thread for files, and on the core in between.
  template <typename Request>
<<<<<<< HEAD
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
=======
  void add_making(CallTable& calls, const char* method);
  // call(JobController&, const Request&) makes the answer, and changes nothing.
  template <typename Request, typename Response, typename Call>
  void add_reader(CallTable& calls, const char* method, Call call);
  // call(JobController&, const Request&, caller's name) changes something, and makes the answer.
  template <typename Request, typename Response, typename Call>
  void add_change(CallTable& calls, const char* method, Call call);
>>>>>>> helper-2

  SharedController& shared_;
  const RpcBoundary boundary_;
  CallPool pool_;
  const PooledCalls calls_;
  FilePool& files_;
};

}  // namespace equipoise::coordinator
