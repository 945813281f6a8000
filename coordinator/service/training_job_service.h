// TrainingJobService over gRPC. Unpacks, calls, packs; decides nothing.
#pragma once

#include "coordinator/service/rpc_status.h"
#include "coordinator/service/shared_controller.h"
#include "equipoise/v1/training.grpc.pb.h"

namespace equipoise::coordinator {

class TrainingJobService final : public v1::TrainingJobService::Service {
 public:
  // Both outlive it.
  TrainingJobService(SharedController& shared, JobMetrics& metrics);

  grpc::Status CreateTrainingJob(grpc::ServerContext* context, const v1::CreateTrainingJobRequest* request,
                                 v1::TrainingJob* response) override;
  grpc::Status GetTrainingJob(grpc::ServerContext* context, const v1::GetTrainingJobRequest* request,
                              v1::TrainingJob* response) override;
  grpc::Status ListTrainingJobs(grpc::ServerContext* context, const v1::ListTrainingJobsRequest* request,
                                v1::ListTrainingJobsResponse* response) override;
  grpc::Status WatchTrainingJob(grpc::ServerContext* context, const v1::WatchTrainingJobRequest* request,
                                grpc::ServerWriter<v1::TrainingJob>* writer) override;
  grpc::Status CancelTrainingJob(grpc::ServerContext* context, const v1::CancelTrainingJobRequest* request,
                                 v1::TrainingJob* response) override;
  grpc::Status DeleteTrainingJob(grpc::ServerContext* context, const v1::DeleteTrainingJobRequest* request,
                                 google::protobuf::Empty* response) override;
  grpc::Status ListGroupWeights(grpc::ServerContext* context, const v1::ListGroupWeightsRequest* request,
                                v1::ListGroupWeightsResponse* response) override;

 private:
  SharedController& shared_;
  RpcBoundary boundary_;
};

}  // namespace equipoise::coordinator
