// Whether what is stored of a job can be loaded: a job that cannot is set aside, and all others run.
#pragma once

#include <string>

#include "common/config/job_config.h"
#include "coordinator/store/job_store.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// Why nothing can be made of the record of a job, in one sentence; empty where it is whole.
std::string job_fault(const StoredJob& stored);

// Why the newest attempt cannot be taken up where it stood: its training, that its steps follow each other, and the
// last of them. Throws StoreError where the database cannot be read now.
std::string newest_attempt_fault(JobStore& store, const JobConfig& config, const v1::TrainingJob& job);

// The same of every attempt, and of every step: reads all that is stored of the job.
std::string history_fault(JobStore& store, const JobConfig& config, const v1::TrainingJob& job);

}  // namespace equipoise::coordinator
