#include "client/private_folder.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

namespace equipoise {

PrivateFolder::PrivateFolder() {
  const char* base = std::getenv("TMPDIR");
  const std::filesystem::path parent = base == nullptr || *base == '\0' ? "/tmp" : base;
  std::string pattern = (parent / "equipoise-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    throw std::invalid_argument("no folder can be made in " + parent.string() + ": " + std::strerror(errno));
  }
  path_ = pattern;
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  if (!kept_) std::filesystem::remove_all(path_, ignored);
}

}  // namespace equipoise
