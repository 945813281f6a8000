#include "common/summary/run_files.h"

#include <system_error>

#include "common/base/durable_file.h"
#include "common/summary/model_card.h"
#include "common/summary/report_page.h"
#include "common/summary/run_summary.h"
#include "common/summary/trainer_state.h"

namespace equipoise {

namespace fs = std::filesystem;

RunFiles write_run_files(const RunFilesRequest& request) {
  const RunSummary summary = read_run_summary(request.run, request.on_bytes);
  const bool is_beside = request.into.empty();
  const fs::path folder = is_beside ? request.run : request.into;
  RunFiles files;
  const auto write = [&files](const fs::path& file, const std::string& content) {
    write_durably(file, content);
    files.written.push_back(file);
  };
  const fs::path model = is_beside ? request.run / "final" : request.into;
  std::error_code ignored;
  if (!fs::is_directory(model, ignored)) {
    files.note = "there is no model card, as the run has no final/";
  } else if (request.existing_card == ExistingCard::kKept &&
             fs::exists(fs::symlink_status(model / kModelCardName, ignored))) {
    files.note = (model / kModelCardName).string() + " is there already and was left as it is";
  } else {
    write(model / kModelCardName, model_card(summary));
  }
  write(folder / kTrainerStateName, trainer_state(summary));
  write(folder / kReportName, report_page(summary));
  return files;
}

}  // namespace equipoise
