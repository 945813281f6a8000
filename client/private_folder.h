// A new folder that only this user may enter, gone at the end unless it is to be kept.
#pragma once

#include <filesystem>

namespace equipoise {

class PrivateFolder {
 public:
  // Below TMPDIR, or /tmp. Throws std::invalid_argument if it cannot be made there.
  PrivateFolder();
  ~PrivateFolder();
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void keep() { kept_ = true; }
  void discard() { kept_ = false; }

 private:
  std::filesystem::path path_;
  bool kept_ = false;
};

}  // namespace equipoise
