#include "client/command_line/job_inputs.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "client/command_line/resume_point.h"
#include "client/model/folder_contents.h"
#include "common/base/cache_folder.h"
#include "common/base/environment.h"
#include "common/base/output_lock.h"
#include "common/config/output_check.h"
#include "common/dataset/data_files.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

// A part of a name: what the Hub allows, and none of the names of files.
bool is_part(std::string_view part) {
  constexpr std::size_t kLongest = 96;
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  if (part.empty() || part.size() > kLongest || part.front() == '.' || part.front() == '-') return false;
  for (const std::string_view ending :
       {".jsonl", ".json", ".parquet", ".arrow", ".csv", ".gz", ".zst", ".safetensors"}) {
    if (part.ends_with(ending)) return false;
  }
  return std::ranges::all_of(part, allowed);
}

// The parts of the path after the last folder that exists.
std::vector<std::string> missing_parts(const fs::path& path) {
  std::vector<std::string> parts;
  fs::path folder;
  std::error_code ignored;
  for (const fs::path& part : path) {
    folder /= part;
    if (!parts.empty() || !fs::exists(folder, ignored)) parts.push_back(part.string());
  }
  if (!parts.empty() && parts.back().empty()) parts.pop_back();  // after a "/" at the end
  return parts;
}

struct Address {
  std::vector<std::string> parts;
  bool is_dataset = false;
  bool is_address = false;  // https://huggingface.co/..., hf://...
};

// Without the host and the branch: https://huggingface.co/datasets/a/b/tree/main is a/b.
Address without_host(std::vector<std::string> parts) {
  Address address{.parts = std::move(parts)};
  const auto begins_with = [&](std::string_view first) {
    return !address.parts.empty() && address.parts.front() == first;
  };
  const auto drop = [&] { address.parts.erase(address.parts.begin()); };
  for (const std::string_view scheme : {"https:", "http:", "hf:"}) {
    if (!begins_with(scheme)) continue;
    address.is_address = true;
    drop();
    break;
  }
  for (const std::string_view host : {"huggingface.co", "hf.co"}) {
    if (!begins_with(host)) continue;
    address.is_address = true;
    drop();
    break;
  }
  if (!address.is_address) return address;
  address.is_dataset = begins_with("datasets");
  if (address.is_dataset || begins_with("models")) drop();
  address.parts.resize(std::min<std::size_t>(address.parts.size(), 2));
  return address;
}

}  // namespace

std::string hub_advice(const fs::path& path, HubKind kind) {
  const Address address = without_host(missing_parts(path));
  const std::vector<std::string>& parts = address.parts;
  if (parts.empty() || parts.size() > 2 || !std::ranges::all_of(parts, is_part)) return "";
  const bool is_dataset = kind == HubKind::kDataset || address.is_dataset;
  const std::string what = is_dataset ? "a data set" : "a model";
  const std::string name = (parts.size() == 1 ? "OWNER/" : parts[0] + "/") + parts.back();
  const std::string command =
      std::string("hf download ") + (is_dataset ? "--repo-type dataset " : "") + name + " --local-dir ";
  if (address.is_address) return "; download it, and give the folder: " + command + parts.back();
  const std::string found = parts.size() == 1 ? "this" : name;
  return "; if " + found + " is " + what + " of the Hub, download it first: " + command + path.string();
}

namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const char* field, const fs::path& path, const std::string& what) {
  throw std::invalid_argument(std::string(field) + ": " + path.string() + " " + what);
}

// `fault` goes on behind the folder's name, with a space or the name of a file in it.
void refuse_if(const std::string& fault, const char* field, const fs::path& folder) {
  if (!fault.empty()) throw std::invalid_argument(std::string(field) + ": " + folder.string() + fault);
}

void check_data_files(const std::string& field, const std::vector<DataFile>& files) {
  for (std::size_t i = 0; i < files.size(); ++i) {
    check_readable_data((field + "[" + std::to_string(i) + "].path").c_str(), files[i].path);
  }
}

}  // namespace

void check_readable_file(const char* field, const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) refuse(field, path, "does not exist");
  if (!fs::is_regular_file(path, ignored)) refuse(field, path, "is not a file");
  if (access(path.c_str(), R_OK) != 0) refuse(field, path, "may not be read");
}

void check_readable_data(const char* field, const fs::path& path) {
  std::vector<fs::path> files;
  try {
    files = data_files(path);
  } catch (const std::invalid_argument& problem) {
    std::error_code ignored;
    if (!fs::exists(path, ignored)) refuse(field, path, "does not exist" + hub_advice(path, HubKind::kDataset));
    throw std::invalid_argument(std::string(field) + ": " + problem.what());
  }
  for (const fs::path& file : files) check_readable_file(field, file);
}

void check_model_folder(const char* field, const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) {
    refuse(field, folder, "does not exist, expected a Hugging Face model folder" + hub_advice(folder, HubKind::kModel));
  }
  if (!fs::is_directory(folder, ignored))
    refuse(field, folder, "is not a folder: name the folder that the file lies in");
  refuse_if(fault_of_model_folder(field, folder), field, folder);
  for (const char* file : {"config.json", "tokenizer.json"}) {
    if (!fs::is_regular_file(folder / file, ignored)) refuse(field, folder, std::string("has no ") + file);
  }
  if (!has_weights(folder)) refuse(field, folder, "has no *.safetensors");
}

void check_adapter_folder(const char* field, const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) {
    refuse(field, folder, "does not exist, expected a folder of a PEFT adapter" + hub_advice(folder, HubKind::kModel));
  }
  if (!fs::is_directory(folder, ignored))
    refuse(field, folder, "is not a folder: name the folder that the file lies in");
  refuse_if(fault_of_adapter_folder(field, folder), field, folder);
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors"}) {
    if (!fs::is_regular_file(folder / file, ignored)) refuse(field, folder, std::string("has no ") + file);
  }
}

void check_rank_environment() {
  cache_folder();
  device_setting();
  thread_setting();
}

void check_job_inputs(const JobConfig& job) {
  check_rank_environment();
  if (!job.log_linear) check_model_folder("model.path", job.model.path);
  if (job.model.reference) check_model_folder("model.reference", *job.model.reference);
  if (job.model.adapter) check_adapter_folder("model.adapter", *job.model.adapter);
  if (job.model.chat_template) check_readable_file("model.chat_template", *job.model.chat_template);
  const auto check_data = job.log_linear ? check_readable_file : check_readable_data;
  if (job.data.train_files.empty()) check_data("data.train", job.data.train);
  check_data_files("data.train_files", job.data.train_files);
  if (job.data.validation) check_data("data.validation", *job.data.validation);
  check_data_files("data.validation_files", job.data.validation_files);
  if (job.data.test) check_readable_file("data.test", *job.data.test);
  static_cast<void>(resume_point(job));  // whether it is there
  OutputLock::check_free({.field = "output", .path = job.output});
  check_output_place(job);
  check_output_free(job);
}

}  // namespace equipoise
