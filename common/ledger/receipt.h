// The receipt of a run that has ended: what its ledger ends with, in a file of a few lines that can be kept elsewhere.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/ledger/ledger_record.h"

namespace equipoise {

// The text of receipt.json: it follows from the ledger alone.
std::string receipt_text(const LedgerStart& start, const LedgerAttempt& last_attempt, const LedgerEnd& end,
                         const LedgerPosition& position);

// The files of a folder and of those in it, by name, with their sizes and digests. Throws std::runtime_error where one
// cannot be read.
//   on_bytes  bytes read since the call before
std::vector<CheckpointFile> measured_files(const std::filesystem::path& folder,
                                           const std::function<void(std::int64_t)>& on_bytes = {});

}  // namespace equipoise
