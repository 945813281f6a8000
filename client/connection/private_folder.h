// A new folder that only this user may enter, gone at the end.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace equipoise {

class PrivateFolder {
 public:
  // Below TMPDIR, or /tmp. Removes those of processes that were killed before. Throws std::invalid_argument naming
  // TMPDIR and the cause if it cannot be made there, or there is no room for what a command needs.
  PrivateFolder();
  ~PrivateFolder();
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // "; TMPDIR (/tmp) has 12 kB free": what may be behind a failure. Empty where there is room.
  std::string disk_space_advice() const;
  // Mpirun's own files go here too: NAME=value for its environment, as Open MPI 4 and 5 read it.
  std::vector<std::string> mpirun_settings() const {
    return {"OMPI_MCA_orte_tmpdir_base=" + path_.string(), "PRTE_MCA_prte_tmpdir_base=" + path_.string()};
  }
  // Copies `files`, as far as they are there, into the folder `target`, where people find them once this one is gone,
  // and returns `target`. Where that cannot be done the folder stays instead, and its path is returned.
  std::filesystem::path keep_logs(const std::filesystem::path& target, const std::vector<std::filesystem::path>& files);

 private:
  std::filesystem::path path_;
  int lock_ = -1;  // tells later processes that the folder is in use
  bool kept_ = false;
};

}  // namespace equipoise
