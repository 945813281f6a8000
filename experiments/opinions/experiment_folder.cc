#include "experiments/opinions/experiment_folder.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "common/base/durable_file.h"
#include "common/base/message_text.h"
#include "common/base/output_lock.h"

namespace equipoise::reproduce {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMark = "fingerprint";
constexpr std::array kEntries{"data", "models", "runs", "report", kOutputLockName};

}  // namespace

Fingerprint& Fingerprint::add(std::string_view what, std::string_view text) {
  // Lengths keep neighbours apart.
  digest_.update(std::to_string(what.size()) + ":" + std::to_string(text.size()) + ":");
  digest_.update(what);
  digest_.update(text);
  return *this;
}

Fingerprint& Fingerprint::add_file(std::string_view what, const fs::path& file) {
  Sha256 content;
  if (!content.update_from(file)) throw std::invalid_argument(file.string() + ": cannot be read");
  return add(what, hex_text(content.finish()));
}

Fingerprint& Fingerprint::add_model(std::string_view what, const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code fault;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, fault)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  if (fault || files.empty()) {
    throw std::invalid_argument(folder.string() + ": is no model, expected a Hugging Face folder with *.safetensors");
  }
  std::sort(files.begin(), files.end());
  for (const char* name : {"config.json", "tokenizer.json"}) files.push_back(folder / name);
  for (const fs::path& file : files) add_file(std::string(what) + file.filename().string(), file);
  return *this;
}

std::string Fingerprint::text() { return hex_text(digest_.finish()); }

ExperimentFolder::ExperimentFolder(const fs::path& folder) : folder_(fs::absolute(folder).lexically_normal()) {
  std::error_code fault;
  fs::create_directories(folder_, fault);
  if (fault || !fs::is_directory(folder_)) {
    throw std::invalid_argument(folder.string() + ": cannot be made a folder: " + fault.message());
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    if (std::find(kEntries.begin(), kEntries.end(), name) != kEntries.end()) continue;
    throw std::invalid_argument(folder.string() + ": holds " + quoted_text(name) +
                                ", which is not of this experiment; name a new folder, an empty one or an earlier "
                                "experiment");
  }
}

bool is_finished(const fs::path& folder, const std::string& fingerprint) {
  std::ifstream file(folder / kMark, std::ios::binary);
  const std::string mark((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return mark == fingerprint + "\n";
}

void mark_finished(const fs::path& folder, const std::string& fingerprint) {
  write_durably(folder / kMark, fingerprint + "\n");
}

void unmark_finished(const fs::path& folder) {
  std::error_code ignored;
  fs::remove(folder / kMark, ignored);
}

}  // namespace equipoise::reproduce
