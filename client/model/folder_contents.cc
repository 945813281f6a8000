#include "client/model/folder_contents.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <vector>

#include "common/base/bounded_file.h"
#include "common/base/download_fault.h"
#include "common/base/durable_file.h"
#include "common/base/path_check.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/huggingface/safetensors.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr std::uintmax_t kLargestJson = std::uintmax_t{64} << 20;

// Ascending, so that messages do not depend on the disk's order.
std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

fs::path first_with(const std::vector<fs::path>& files, const std::set<std::string>& extensions) {
  const auto found =
      std::ranges::find_if(files, [&](const fs::path& file) { return extensions.contains(file.extension().string()); });
  return found == files.end() ? fs::path() : found->filename();
}

nlohmann::json read_json(const fs::path& file) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored) || fs::file_size(file, ignored) > kLargestJson) return {};
  return nlohmann::json::parse(read_bounded_file(file, kLargestJson, "settings"), nullptr, /*allow_exceptions=*/false);
}

// "--adapter" of "--model", "model.adapter" of "model.path", and back.
std::string counterpart_of(const std::string& field, const char* as_flag, const char* in_job) {
  return field.starts_with("--") ? as_flag : in_job;
}

bool is_of_reference(const std::string& field) { return field.ends_with("reference"); }

bool has_config(const fs::path& folder) {
  return entry_exists(folder / "config.json") || entry_exists(folder / "adapter_config.json");
}

std::string fault_of_run(const fs::path& folder) {
  if (has_config(folder)) return "";
  if (has_config(folder / "final")) return " is a run's output: name its final/";
  for (const CheckpointEntry& entry : list_checkpoints(folder)) {
    if (!has_config(entry.folder)) continue;
    return " is the output of a run without a final/: name one of its checkpoints, the newest is " +
           entry.folder.lexically_relative(folder).string();
  }
  const bool is_log_linear = entry_exists(folder / kManifestName) && entry_exists(folder / "theta.safetensors");
  return is_log_linear ? " is a checkpoint of a log-linear policy, not a model" : "";
}

// Of a checkpoint the optimiser's tensors, and the parameters of the best evaluation, are no model's.
bool is_training_state(const fs::path& file) {
  const std::string name = file.filename().string();
  return std::ranges::any_of(std::array{"optimizer.", "optimizer-", "best.", "best-"},
                             [&](const char* beginning) { return name.starts_with(beginning); });
}

fs::path first_weights(const std::vector<fs::path>& files) {
  const auto found = std::ranges::find_if(
      files, [](const fs::path& file) { return file.extension() == ".safetensors" && !is_training_state(file); });
  return found == files.end() ? fs::path() : found->filename();
}

std::string base_model_of(const fs::path& adapter) {
  const nlohmann::json config = read_json(adapter / "adapter_config.json");
  const auto base = config.is_object() ? config.find("base_model_name_or_path") : config.end();
  return base != config.end() && base->is_string() && !base->empty() ? " (" + base->get<std::string>() + ")" : "";
}

// A tokenizer.json has megabytes, for which simdjson needs a tenth of the time. What it refuses may be JSON all the
// same: numbers that no 64-bit integer holds, as in many a tokenizer_config.json.
bool is_json(const fs::path& file) {
  simdjson::dom::parser parser;
  if (parser.load(file.string()).error() == simdjson::SUCCESS) return true;
  return nlohmann::json::accept(read_bounded_file(file, kLargestJson, "settings"));
}

// Of a settings file: that it cannot be read to its end, or is no file. A file that is not there has no fault.
std::string fault_of_json(const fs::path& file) {
  if (const std::string fault = fault_of_destination(file); !fault.empty()) return " " + fault;
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored) || fs::file_size(file, ignored) > kLargestJson) return "";
  return is_json(file) ? "" : " is cut short or no JSON: download it again";
}

// Weights and settings that are read as they are.
std::string fault_of_files(const std::vector<fs::path>& files) {
  static const std::set<std::string> kRead = {".json", ".jinja", ".safetensors", ".model"};
  static const std::set<std::string> kSettings = {"config.json",           "tokenizer.json",
                                                  "tokenizer_config.json", "special_tokens_map.json",
                                                  "adapter_config.json",   kIndex};
  for (const fs::path& file : files) {
    if (!kRead.contains(file.extension().string())) continue;
    if (const std::string fault = download_fault(file); !fault.empty())
      return "/" + file.filename().string() + " " + fault;
    if (!kSettings.contains(file.filename().string())) continue;
    if (const std::string fault = fault_of_json(file); !fault.empty()) return "/" + file.filename().string() + fault;
  }
  return "";
}

std::string fault_of_weights(const fs::path& file) {
  try {
    SafetensorsFile::open(file);
  } catch (const std::invalid_argument& problem) {
    const std::string text = problem.what();
    return text.substr(std::min(text.size(), file.parent_path().string().size()));
  }
  return "";
}

std::string fault_of_shards(const fs::path& folder, const std::vector<fs::path>& files) {
  if (entry_exists(folder / "model.safetensors")) return fault_of_weights(folder / "model.safetensors");
  if (!entry_exists(folder / kIndex)) {
    const fs::path shard = first_weights(files);
    const bool is_shard = shard.string().find("-of-") != std::string::npos;
    return is_shard ? std::string(" has shards of weights, such as ") + shard.string() + ", but no " + kIndex +
                          ": the download is not complete"
                    : "";
  }
  const nlohmann::json index = read_json(folder / kIndex);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) return "";
  std::set<std::string> shards;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    if (file.is_string() && !fs::path(file).has_parent_path()) shards.insert(file.get<std::string>());
  }
  for (const std::string& shard : shards) {
    if (!entry_exists(folder / shard)) {
      return std::string(" has no ") + shard + ", which " + kIndex + " names beside " +
             std::to_string(shards.size() - 1) + " other files: the download is not complete";
    }
    if (std::string fault = fault_of_weights(folder / shard); !fault.empty()) return fault;
  }
  return "";
}

// Files under the names that downloads have until they end.
fs::path unfinished_weights(const std::vector<fs::path>& files) {
  const auto found = std::ranges::find_if(files, [](const fs::path& file) {
    const std::string name = file.filename().string();
    return name.ends_with(".safetensors.incomplete") || name.ends_with(".safetensors.part");
  });
  return found == files.end() ? fs::path() : found->filename();
}

std::string fault_of_download(const std::vector<fs::path>& files) {
  const fs::path part = unfinished_weights(files);
  return part.empty() ? "" : " has " + part.string() + " in place of the weights: the download is not complete";
}

// Where the tokenizer is there in the form of other programs alone.
std::string fault_of_tokenizer(const fs::path& folder) {
  if (entry_exists(folder / "tokenizer.json")) return "";
  const bool has_lists = entry_exists(folder / "vocab.json") && entry_exists(folder / "merges.txt");
  const std::string other = entry_exists(folder / "tokenizer.model") ? "tokenizer.model"
                            : has_lists                              ? "vocab.json and merges.txt"
                                                                     : "";
  if (other.empty()) return "";
  const std::string name = "'" + folder.string() + "'";
  return " has no tokenizer.json, but " + other + ", of which transformers makes one: python -c \"from transformers " +
         "import AutoTokenizer; AutoTokenizer.from_pretrained(" + name + ").save_pretrained(" + name + ")\"";
}

// Where config.json or the weights are missing.
std::string fault_without_model(const fs::path& folder, const std::vector<fs::path>& files) {
  if (entry_exists(folder / "snapshots") && !entry_exists(folder / "config.json")) {
    return " is a model's place in the Hub's cache: name the folder in its snapshots/";
  }
  if (!first_weights(files).empty()) return "";
  if (std::string fault = fault_of_download(files); !fault.empty()) return fault;
  if (const fs::path gguf = first_with(files, {".gguf"}); !gguf.empty()) {
    return " holds a GGUF file (" + gguf.string() +
           ") for inference; training wants the model's Hugging Face folder with *.safetensors, from which it was made";
  }
  if (const fs::path pickle = first_with(files, {".bin", ".pt", ".pth", ".ckpt", ".pkl"}); !pickle.empty()) {
    return " holds its weights as a pickle (" + pickle.string() +
           "), which can run code and is never read; save them as safetensors: transformers' save_pretrained does it";
  }
  return "";
}

}  // namespace

bool has_weights(const fs::path& folder) { return !first_weights(files_of(folder)).empty(); }

std::string fault_of_model_folder(const std::string& field, const fs::path& folder) {
  const std::vector<fs::path> files = files_of(folder);
  if (std::string fault = fault_of_run(folder); !fault.empty()) return fault;
  const bool is_adapter =
      entry_exists(folder / "adapter_config.json") || entry_exists(folder / "adapter_model.safetensors");
  if (is_adapter && !entry_exists(folder / "config.json")) {
    if (is_of_reference(field)) {
      return " is a LoRA adapter, and a reference is a model: merge it into the model that it belongs to" +
             base_model_of(folder) + " with equipoise export --merge, and give the merged folder as " + field;
    }
    const std::string other = counterpart_of(field, "--adapter", "model.adapter");
    return " is a LoRA adapter, not a model: give it as " + other + ", and the model that it belongs to" +
           base_model_of(folder) + " as " + field;
  }
  if (std::string fault = fault_of_files(files); !fault.empty()) return fault;
  if (std::string fault = fault_without_model(folder, files); !fault.empty()) return fault;
  if (std::string fault = fault_of_tokenizer(folder); !fault.empty()) return fault;
  return fault_of_shards(folder, files);
}

std::string fault_of_adapter_folder(const std::string& field, const fs::path& folder) {
  const std::vector<fs::path> files = files_of(folder);
  if (std::string fault = fault_of_run(folder); !fault.empty()) return fault;
  if (std::string fault = fault_of_files(files); !fault.empty()) return fault;
  if (!entry_exists(folder / "adapter_config.json") && entry_exists(folder / "config.json")) {
    return " is a model, not an adapter: give it as " + counterpart_of(field, "--model", "model.path") +
           ", alone if it is what an adapter was merged into";
  }
  if (!entry_exists(folder / "adapter_model.safetensors") && entry_exists(folder / "adapter_model.bin")) {
    return " holds its weights as a pickle (adapter_model.bin), which can run code and is never read; save them as "
           "safetensors: PEFT's save_pretrained does it";
  }
  if (entry_exists(folder / "adapter_model.safetensors")) return fault_of_weights(folder / "adapter_model.safetensors");
  return fault_of_download(files);
}

}  // namespace equipoise
