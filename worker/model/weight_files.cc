#include "worker/model/weight_files.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "common/base/quoted_text.h"
#include "worker/data/json_file.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

// The files named by the index, each once.
std::set<std::string> indexed_files(const fs::path& index) {
  const auto json = read_json_object(index);
  const auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object() || map->empty()) {
    throw std::invalid_argument(index.string() + ": field weight_map is missing or not an object of tensor to file");
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || fs::path(name).filename() != name || name == "." || name == "..") {
      throw std::invalid_argument(index.string() + ": the file of tensor " + quoted_text(tensor) + " is " +
                                  quoted_text(file.dump()) + ", expected the name of a file in the same folder");
    }
    names.insert(name);
  }
  return names;
}

// Early Llama files hold the frequencies of rotary positions too, which config.json determines.
bool is_rotary_table(const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); }

}  // namespace

WeightFiles WeightFiles::open(const fs::path& folder) {
  const fs::path single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  WeightFiles weights;
  if (fs::exists(single)) {
    weights.named_by_ = single;
    weights.add(single);
  } else if (fs::exists(index)) {
    weights.named_by_ = index;
    for (const std::string& name : indexed_files(index)) weights.add(folder / name);
  } else {
    throw std::invalid_argument(folder.string() + " has neither model.safetensors nor model.safetensors.index.json");
  }
  return weights;
}

void WeightFiles::add(const fs::path& path) {
  files_.push_back(SafetensorsFile::open(path));
  for (const TensorView& tensor : files_.back().tensors()) {
    const auto [entry, is_new] = tensors_.emplace(tensor.name, Entry{.file = files_.size() - 1, .tensor = tensor});
    if (is_new) continue;
    throw std::invalid_argument(path.string() + ": tensor " + quoted_text(tensor.name) + " is in " +
                                files_[entry->second.file].path().string() + " too");
  }
}

bool WeightFiles::is_copy_of_tied_head(const TensorView& tensor, const std::vector<ParameterShape>& layout) const {
  if (tensor.name != kHeadName) return false;
  const auto embedding = tensors_.find(layout.front().name);
  return embedding != tensors_.end() && embedding->second.tensor.dtype == tensor.dtype &&
         std::ranges::equal(embedding->second.tensor.bytes, tensor.bytes);
}

std::vector<TensorView> WeightFiles::select(const std::vector<ParameterShape>& layout) const {
  std::vector<TensorView> selected;
  std::set<std::string> wanted;
  for (const ParameterShape& parameter : layout) {
    const auto found = tensors_.find(parameter.name);
    if (found == tensors_.end()) {
      throw std::invalid_argument(named_by_.string() + ": tensor " + parameter.name + " is missing");
    }
    const TensorView& tensor = found->second.tensor;
    if (tensor.shape != parameter.shape) {
      throw std::invalid_argument(files_[found->second.file].path().string() + ": tensor " + parameter.name +
                                  " has shape " + shape_text(tensor.shape) + ", expected " +
                                  shape_text(parameter.shape) + " by config.json");
    }
    selected.push_back(tensor);
    wanted.insert(parameter.name);
  }
  for (const auto& [name, entry] : tensors_) {
    if (wanted.contains(name) || is_rotary_table(name) || is_copy_of_tied_head(entry.tensor, layout)) continue;
    throw std::invalid_argument(files_[entry.file].path().string() + ": tensor " + quoted_text(name) +
                                " has no place in the model that config.json describes");
  }
  return selected;
}

std::vector<TensorView> WeightFiles::all() const {
  std::vector<TensorView> views;
  for (const auto& [name, entry] : tensors_) views.push_back(entry.tensor);
  return views;
}

}  // namespace equipoise
