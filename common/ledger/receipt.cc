#include "common/ledger/receipt.h"

#include <algorithm>
#include <stdexcept>
#include <system_error>

namespace equipoise {

namespace fs = std::filesystem;

std::string receipt_text(const LedgerStart& start, const LedgerAttempt& last_attempt, const LedgerEnd& end,
                         const LedgerPosition& position) {
  CheckpointJson files = CheckpointJson::array();
  for (const CheckpointFile& file : end.files) {
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", hex_text(file.sha256)}});
  }
  const CheckpointJson receipt = {{"format", 1},
                                  {"job_id", last_attempt.job_id},
                                  {"program", last_attempt.program},
                                  {"steps", end.final_step},
                                  {"dataset_sha256", hex_text(start.dataset)},
                                  {"final", std::move(files)},
                                  {"ledger", {{"bytes", position.bytes}, {"chain", hex_text(position.chain)}}}};
  return receipt.dump(1, ' ', false, CheckpointJson::error_handler_t::replace) + "\n";
}

std::vector<CheckpointFile> measured_files(const fs::path& folder, const std::function<void(std::int64_t)>& on_bytes) {
  std::vector<CheckpointFile> files;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    std::error_code ignored;
    if (!entry.is_regular_file(ignored)) continue;
    const auto bytes = static_cast<std::int64_t>(entry.file_size());
    Sha256 sha256;
    if (!sha256.update_from(entry.path(), on_bytes))
      throw std::runtime_error(entry.path().string() + " cannot be read");
    files.push_back(
        {.name = entry.path().lexically_relative(folder).string(), .bytes = bytes, .sha256 = sha256.finish()});
  }
  if (error) throw std::runtime_error(folder.string() + " cannot be read: " + error.message());
  std::ranges::sort(files, {}, &CheckpointFile::name);
  return files;
}

}  // namespace equipoise
