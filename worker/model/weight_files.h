// The tensors of a Hugging Face folder: model.safetensors, or the files that model.safetensors.index.json names.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/huggingface/safetensors.h"
#include "worker/model/parameter_layout.h"

namespace equipoise {

class WeightFiles {
 public:
  // Throws std::invalid_argument naming the file and the fault: none of both is there, an index that is not one or
  // that names a file outside the folder, a tensor in two files.
  static WeightFiles open(const std::filesystem::path& folder);

  // The tensors of `layout`, in its order. Where the head is tied, a copy of the embedding under the head's name is
  // left out, and so are tables of rotary frequencies. Throws std::invalid_argument naming file and tensor: missing,
  // superfluous, or of another shape.
  std::vector<TensorView> select(const std::vector<ParameterShape>& layout) const;

  // Every tensor there is, ascending by name.
  std::vector<TensorView> all() const;

 private:
  void add(const std::filesystem::path& path);
  bool is_copy_of_tied_head(const TensorView& tensor, const std::vector<ParameterShape>& layout) const;

  std::filesystem::path named_by_;  // the file that says what there is
  std::vector<SafetensorsFile> files_;
  struct Entry {
    std::size_t file;
    TensorView tensor;
  };
  std::map<std::string, Entry> tensors_;
};

}  // namespace equipoise
