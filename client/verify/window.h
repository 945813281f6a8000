// Steps of a run, trained once more on this machine and compared with its ledger bit by bit.
#pragma once

#include <filesystem>

#include "client/progress/progress_display.h"
#include "client/verify/run_audit.h"
#include "client/verify/window_plan.h"

namespace equipoise {

// Trains them, on coordinators of our own, part after part. Throws as PrivateService::run().
void train_window(const WindowPlan& plan, ProgressDisplay& display);

// Compares the ledgers of what was trained with that of the run.
AuditLine compare_window(const RunAudit& audit, const std::filesystem::path& run, const WindowPlan& plan);

}  // namespace equipoise
