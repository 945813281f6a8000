// What a run leaves for people and other programs: the model card, trainer_state.json and report.html.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace equipoise {

enum class ExistingCard { kKept, kReplaced };

struct RunFilesRequest {
  std::filesystem::path run;
  std::filesystem::path into = {};  // a folder that is there for all three; empty: where a run has them
  ExistingCard existing_card = ExistingCard::kKept;  // people edit theirs
  std::function<void(std::int64_t)> on_bytes = {};   // as files are read
};

struct RunFiles {
  std::vector<std::filesystem::path> written;
  std::string note;  // why there is no model card, or why it was left as it was; or empty
};

// Each file is whole or as it was. Throws as read_run_summary(), and std::runtime_error where the disk refuses.
RunFiles write_run_files(const RunFilesRequest& request);

}  // namespace equipoise
