#include "coordinator/service/worker_service.h"

namespace equipoise::coordinator {

WorkerService::WorkerService(SharedController& shared, JobMetrics& metrics)
    : shared_(shared), boundary_(metrics, "WorkerService") {}

grpc::Status WorkerService::RegisterWorker(grpc::ServerContext* /*context*/, const v1::RegisterWorkerRequest* request,
                                           v1::RegisterWorkerResponse* response) {
  return boundary_.answer("RegisterWorker", [&] {
    *response = shared_.run([&](JobController& core) { return core.worker_calls().register_worker(*request); });
  });
}

grpc::Status WorkerService::StartTraining(grpc::ServerContext* /*context*/, const v1::StartTrainingRequest* request,
                                          v1::StartTrainingResponse* response) {
  return boundary_.answer("StartTraining", [&] {
    *response = shared_.run([&](JobController& core) { return core.worker_calls().start_training(*request); });
  });
}

grpc::Status WorkerService::ReportStep(grpc::ServerContext* /*context*/, const v1::ReportStepRequest* request,
                                       v1::ReportStepResponse* response) {
  return boundary_.answer("ReportStep", [&] {
    *response = shared_.run([&](JobController& core) { return core.worker_calls().report_step(*request); });
  });
}

grpc::Status WorkerService::ReportSteps(grpc::ServerContext* /*context*/, const v1::ReportStepsRequest* request,
                                        v1::ReportStepsResponse* response) {
  return boundary_.answer("ReportSteps", [&] {
    *response = shared_.run([&](JobController& core) { return core.worker_calls().report_steps(*request); });
  });
}

grpc::Status WorkerService::GetGroupWeights(grpc::ServerContext* /*context*/, const v1::GetGroupWeightsRequest* request,
                                            v1::GetGroupWeightsResponse* response) {
  return boundary_.answer("GetGroupWeights", [&] {
    *response = shared_.read([&](JobController& core) { return core.worker_calls().group_weights(*request); });
  });
}

grpc::Status WorkerService::ReportMetrics(grpc::ServerContext* /*context*/, const v1::ReportMetricsRequest* request,
                                          v1::ReportMetricsResponse* /*response*/) {
  return boundary_.answer("ReportMetrics", [&] {
    shared_.run([&](JobController& core) { core.worker_calls().report_metrics(*request); });
  });
}

grpc::Status WorkerService::Heartbeat(grpc::ServerContext* /*context*/, const v1::HeartbeatRequest* request,
                                      v1::HeartbeatResponse* response) {
  return boundary_.answer("Heartbeat", [&] {
    *response = shared_.run([&](JobController& core) { return core.worker_calls().heartbeat(*request); });
  });
}

grpc::Status WorkerService::FinishWorker(grpc::ServerContext* /*context*/, const v1::FinishWorkerRequest* request,
                                         v1::FinishWorkerResponse* /*response*/) {
  return boundary_.answer("FinishWorker", [&] {
    shared_.run([&](JobController& core) { core.worker_calls().finish_worker(*request); });
    shared_.wake();
  });
}

grpc::Status WorkerService::FailWorker(grpc::ServerContext* /*context*/, const v1::FailWorkerRequest* request,
                                       v1::FailWorkerResponse* /*response*/) {
  return boundary_.answer("FailWorker", [&] {
    shared_.run([&](JobController& core) { core.worker_calls().fail_worker(*request); });
    shared_.wake();
  });
}

}  // namespace equipoise::coordinator
