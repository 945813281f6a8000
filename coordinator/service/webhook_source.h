// What the sender of events asks of the coordinator.
#pragma once

#include "coordinator/metrics/job_metrics.h"
#include "coordinator/service/shared_controller.h"
#include "coordinator/webhook/webhook_sender.h"

namespace equipoise::coordinator {

// The core is asked alone, for as long as it takes to read a few rows. All three outlive it.
WebhookSource webhook_source(SharedController& shared, JobMetrics& metrics, const Clock& clock);

}  // namespace equipoise::coordinator
