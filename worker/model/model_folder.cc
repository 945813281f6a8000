#include "worker/model/model_folder.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

#include "common/base/durable_file.h"
#include "worker/data/json_file.h"
#include "worker/model/decoder.h"
#include "worker/model/tensor_bytes.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

// What Hugging Face programs read beside config.json and the weights.
constexpr const char* kCompanions[] = {"tokenizer.json",
                                       "tokenizer_config.json",
                                       "special_tokens_map.json",
                                       "added_tokens.json",
                                       "tokenizer.model",
                                       "vocab.json",
                                       "merges.txt",
                                       "chat_template.jinja",
                                       "chat_template.json",
                                       "generation_config.json"};

const char* config_name(torch::Dtype dtype) {
  switch (dtype) {
    case torch::kFloat64:
      return "float64";
    case torch::kBFloat16:
      return "bfloat16";
    case torch::kFloat16:
      return "float16";
    default:
      return "float32";
  }
}

// transformers 4 calls the type torch_dtype, transformers 5 dtype; the key that is there stays.
void write_config(const fs::path& source, const fs::path& target, torch::Dtype dtype) {
  nlohmann::ordered_json config = read_json_object(source);
  const char* const key = config.contains("dtype") ? "dtype" : "torch_dtype";
  config[key] = config_name(dtype);
  write_durably(target, config.dump(2) + "\n");
}

}  // namespace

FolderAside::FolderAside(const fs::path& target) : target_(fs::absolute(target).lexically_normal()) {
  if (target_.filename().empty()) target_ = target_.parent_path();  // "final/" is "final"
  if (fs::exists(fs::symlink_status(target_))) {
    throw std::invalid_argument(target.string() + " exists: choose a folder that does not");
  }
  path_ = target_.string() + ".writing-" + std::to_string(::getpid());
  std::error_code error;
  fs::remove_all(path_, error);
  if (!fs::create_directory(path_, error)) {
    throw std::invalid_argument("cannot write " + target_.string() + ": " + error.message());
  }
}

FolderAside::~FolderAside() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void FolderAside::become_target() const {
  sync_folder(path_);
  std::error_code error;
  fs::rename(path_, target_, error);
  if (error) throw std::runtime_error("cannot rename " + path_.string() + " to its place: " + error.message());
  sync_folder(target_.parent_path());
}

void copy_durably(const fs::path& source, const fs::path& target) {
  std::ifstream file(source, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  if (!file) throw std::invalid_argument("cannot read " + source.string());
  write_durably(target, content);
}

void copy_companions(const fs::path& source, const fs::path& target) {
  for (const char* name : kCompanions) {
    std::error_code error;
    if (fs::is_regular_file(source / name, error)) copy_durably(source / name, target / name);
  }
}

void write_tensors(const std::vector<NamedTensor>& tensors, const fs::path& path) {
  std::vector<torch::Tensor> on_host;
  std::vector<TensorView> views;
  for (const NamedTensor& tensor : tensors) {
    on_host.push_back(tensor.tensor.detach().cpu().contiguous());
    views.push_back(view_of(tensor.name, on_host.back()));
  }
  write_safetensors(path, views, {{"format", "pt"}});
}

void save_model(const Decoder& decoder, const fs::path& source, const fs::path& target) {
  const FolderAside aside(target);
  write_config(source / "config.json", aside.path() / "config.json", decoder.head_weight().scalar_type());
  copy_companions(source, aside.path());
  write_tensors(decoder.parameters(), aside.path() / "model.safetensors");
  aside.become_target();
}

}  // namespace equipoise
