// A folder of a model or an adapter as it is written: whole or not at all.
#pragma once

#include <filesystem>
#include <vector>

#include "worker/model/named_tensor.h"

namespace equipoise {

// A folder beside the target that disappears unless it became the target.
class FolderAside {
 public:
  // Throws std::invalid_argument if `target` exists or its parent does not take a folder.
  explicit FolderAside(const std::filesystem::path& target);
  ~FolderAside();
  FolderAside(const FolderAside&) = delete;
  FolderAside& operator=(const FolderAside&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // On disk, then renamed. Throws std::runtime_error if the disk refuses.
  void become_target() const;

 private:
  std::filesystem::path target_;
  std::filesystem::path path_;
};

// A file's bytes, on disk when it returns. Throws std::invalid_argument if `source` cannot be read.
void copy_durably(const std::filesystem::path& source, const std::filesystem::path& target);

// The tokenizer's and generation's files that Hugging Face programs read beside config.json and the weights, those
// that are there.
void copy_companions(const std::filesystem::path& source, const std::filesystem::path& target);

// As a safetensors file, in the order and the types of `tensors`.
void write_tensors(const std::vector<NamedTensor>& tensors, const std::filesystem::path& path);

}  // namespace equipoise
