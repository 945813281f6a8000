#include "client/data/output_folder.h"

#include <stdexcept>
#include <system_error>

namespace equipoise {

void make_output_folder(const std::filesystem::path& folder) {
  std::error_code fault;
  std::filesystem::create_directories(folder, fault);
  if (!std::filesystem::is_directory(folder)) {
    throw std::invalid_argument(folder.string() + ": cannot be made a folder: " + fault.message());
  }
}

void commit_both(DurableFile& first, const std::filesystem::path& first_path, DurableFile& second) {
  first.commit();
  try {
    second.commit();
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(first_path, ignored);
    throw;
  }
}

void check_output_is_not(const std::filesystem::path& input, const std::filesystem::path& output,
                         const std::string& of) {
  std::error_code ignored;
  if (!std::filesystem::equivalent(input, output, ignored)) return;
  throw std::invalid_argument(output.string() + ": is the file of " + of + ", which is read: choose another output");
}

}  // namespace equipoise
