#include "worker/model/model_folder.h"

#include <algorithm>
#include <cctype>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>

#include "common/base/bounded_file.h"
#include "common/base/durable_file.h"
#include "worker/data/chat_templates.h"
#include "worker/data/json_file.h"
#include "worker/model/decoder.h"
#include "worker/model/tensor_bytes.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

// Of the files that go with a model beside its weights.
constexpr std::uintmax_t kLargestCompanion = std::uintmax_t{256} << 20;
constexpr const char* kCompanion = "a file that goes with a model";
constexpr const char* kOtherTemplates = "additional_chat_templates";
constexpr const char* kCustomGenerate = "custom_generate";  // transformers' generate() of a model's own, as code

// Settings, vocabularies, templates, code that config.json may name and what it needs.
constexpr const char* kCompanionEndings[] = {".json", ".jinja", ".model", ".tiktoken", ".py"};
constexpr const char* kCompanionBeginnings[] = {"vocab", "merges"};
constexpr const char* kCompanionWords[] = {"requirements"};
// Of the files that say whose a model is and how it may be used: LICENSE-APACHE, Gemma_Terms.pdf.
constexpr const char* kTermsWords[] = {"license", "licence", "notice", "terms", "copying", "authors", "use_policy"};
// Of the weights, of an adapter, and of the training that made the model: its checkpoint's manifest too.
constexpr const char* kOthersJson[] = {"config.json",          "adapter_config.json", "trainer_state.json",
                                       "all_results.json",     "train_results.json",  "eval_results.json",
                                       "quantize_config.json", "manifest.json"};

bool is_one_of(const std::string& name, std::span<const char* const> names) {
  return std::ranges::find(names, name) != names.end();
}

std::string lower_name(const fs::path& file) {
  std::string name = file.filename().string();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

bool has_word(const std::string& name, std::span<const char* const> words) {
  return std::ranges::any_of(words, [&](const char* word) { return name.find(word) != std::string::npos; });
}

bool is_terms(const fs::path& file) {
  const std::string name = lower_name(file);
  return !name.starts_with(".") && has_word(name, kTermsWords);
}

bool is_companion(const fs::path& file) {
  const std::string name = lower_name(file);
  if (name.starts_with(".") || is_one_of(name, kOthersJson)) return false;
  if (name.ends_with(".index.json")) return false;
  const auto begins = [&](const char* word) { return name.starts_with(word); };
  const auto ends = [&](const char* ending) { return name.ends_with(ending); };
  return is_terms(file) || has_word(name, kCompanionWords) || std::ranges::any_of(kCompanionBeginnings, begins) ||
         std::ranges::any_of(kCompanionEndings, ends);
}

void copy_files(const fs::path& source, const fs::path& target, const auto& is_wanted) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(source, error)) {
    if (!is_wanted(entry.path()) || !fs::is_regular_file(entry.path(), error)) continue;
    fs::create_directory(target, error);
    copy_durably(entry.path(), target / entry.path().filename());
  }
}

bool is_template(const fs::path& file) { return file.extension() == ".jinja"; }

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

void copy_durably(const fs::path& source, const fs::path& target) {
  write_durably(target, read_bounded_file(source, kLargestCompanion, kCompanion));
}

void copy_companions(const fs::path& source, const fs::path& target) {
  copy_files(source, target, is_companion);
  copy_files(source / kOtherTemplates, target / kOtherTemplates, is_template);
  copy_files(source / kCustomGenerate, target / kCustomGenerate, is_companion);
  std::error_code error;
  for (const char* folder : {kOtherTemplates, kCustomGenerate}) {
    if (fs::exists(target / folder, error)) sync_folder(target / folder);
  }
}

void copy_adapter_terms(const fs::path& adapter, const fs::path& target) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(adapter, error)) {
    const fs::path& file = entry.path();
    if (!is_terms(file) || !fs::is_regular_file(file, error)) continue;
    const fs::path same_name = target / file.filename();
    if (!fs::exists(same_name, error)) {
      copy_durably(file, same_name);
    } else if (read_bounded_file(file, kLargestCompanion, kCompanion) !=
               read_bounded_file(same_name, kLargestCompanion, kCompanion)) {
      copy_durably(file, target / ("adapter-" + file.filename().string()));
    }
  }
}

void copy_chat_templates(const fs::path& source, const fs::path& target) {
  const ChatTemplateTexts own = chat_template_texts(source);
  std::error_code error;
  const bool has_files =
      fs::exists(source / "chat_template.jinja", error) || fs::exists(source / kOtherTemplates, error);
  if (own.empty() || (!has_files && own == chat_template_texts(target))) return;
  fs::remove(target / "chat_template.jinja", error);
  fs::remove_all(target / kOtherTemplates, error);
  if (own.standard) write_durably(target / "chat_template.jinja", *own.standard);
  copy_files(source / kOtherTemplates, target / kOtherTemplates, is_template);
  if (!own.tool_use || fs::exists(target / kOtherTemplates / "tool_use.jinja", error)) return;
  fs::create_directory(target / kOtherTemplates, error);
  write_durably(target / kOtherTemplates / "tool_use.jinja", *own.tool_use);
}

void put_chat_template(const fs::path& file, const fs::path& target) {
  copy_durably(file, target / "chat_template.jinja");
  std::error_code error;
  fs::remove_all(target / kOtherTemplates, error);
}

void write_tensors(const std::vector<NamedTensor>& tensors, const fs::path& path,
                   const std::function<void(std::int64_t)>& on_bytes) {
  std::vector<torch::Tensor> on_host;
  std::vector<TensorView> views;
  for (const NamedTensor& tensor : tensors) {
    on_host.push_back(tensor.tensor.detach().cpu().contiguous());
    views.push_back(view_of(tensor.name, on_host.back()));
  }
  write_safetensors(path, views, {{"format", "pt"}}, on_bytes);
}

void write_model_files(const Decoder& decoder, const fs::path& source, const fs::path& folder) {
  write_config(source / "config.json", folder / "config.json", decoder.head_weight().scalar_type());
  copy_companions(source, folder);
}

void save_model(const Decoder& decoder, const fs::path& source, const fs::path& target,
                const std::function<void(std::int64_t)>& on_bytes) {
  DurableFolder aside(target);
  write_model_files(decoder, source, aside.path());
  write_tensors(decoder.parameters(), aside / "model.safetensors", on_bytes);
  aside.commit();
}

}  // namespace equipoise
