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

}  // namespace equipoise
