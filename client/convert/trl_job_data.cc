// The data of TrlJob: files and folders that a job can read, from what load_dataset() takes.
#include <algorithm>
#include <array>
#include <system_error>

#include "client/convert/trl_job.h"
#include "common/base/message_text.h"

namespace equipoise {
namespace fs = std::filesystem;

namespace {

constexpr const char* kGiveFile =
    ", expected a file or folder of this machine: --train FILE (hf download --repo-type dataset NAME brings one of the "
    "Hub)";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// As the Hub has the files of data sets, "train-00000-of-00001.parquet"; nothing where there are several.
std::optional<std::string> only_shard_in(const fs::path& parent, const std::string& split) {
  std::optional<std::string> found;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(split + "-0") || !name.ends_with(".parquet")) continue;
    if (found) return std::nullopt;
    found = entry.path().string();
  }
  return found;
}

// The file or folder of a split, in a folder of a data set.
std::optional<std::string> split_in(const fs::path& folder, const std::string& split) {
  for (const fs::path& parent : std::array{folder, folder / "data"}) {
    for (const char* const ending : {"", ".jsonl", ".json", ".parquet"}) {
      const fs::path candidate = parent / (split + ending);
      if (is_there(candidate)) return candidate.string();
    }
    if (const auto shard = only_shard_in(parent, split)) return shard;
  }
  return std::nullopt;
}

std::string scalar_of(const YAML::Node& entry, const char* key) {
  const YAML::Node value = entry[key];
  return value.IsDefined() && value.IsScalar() ? value.Scalar() : "";
}

}  // namespace

std::string TrlJob::job_path(const std::string& path) const {
  const bool is_here = request_.job_folder.empty() || fs::absolute(request_.job_folder / ".").lexically_normal() ==
                                                          fs::absolute(fs::current_path() / ".").lexically_normal();
  return is_here || fs::path(path).is_absolute() ? path : fs::absolute(path).lexically_normal().string();
}

std::optional<std::string> TrlJob::split_path(std::string_view name, const std::string& split) {
  const std::string folder = text("dataset_name").value_or("");
  if (folder.empty()) return std::nullopt;
  if (const auto found = split_in(folder, split)) return job_path(*found);
  fault(name, "no " + quoted_text(split) + ", " + quoted_text(split + ".jsonl") + " or such is in " +
                  quoted_text(folder) + kGiveFile);
  return std::nullopt;
}

std::optional<std::string> TrlJob::no_part(std::string_view name, const std::string& split) {
  fault(name, "has the split " + quoted_text(split) + ", which is no file here: prepare one with these pairs");
  return std::nullopt;
}

// An entry of `datasets`, of TRL or axolotl.
std::optional<std::string> TrlJob::hub_file(const YAML::Node& entry, std::string_view name) {
  if (!entry.IsMap() || scalar_of(entry, "path").empty()) {
    fault(name, "expected entries such as {path: json, data_files: train.jsonl}");
    return std::nullopt;
  }
  constexpr std::array<std::string_view, 6> kRead = {"path", "data_files", "split", "type", "ds_type", "revision"};
  for (const auto& part : entry) {
    const std::string& key = part.first.IsScalar() ? part.first.Scalar() : "";
    if (std::ranges::find(kRead, key) == kRead.end() && !part.second.IsNull()) {
      fault(name,
            "has " + quoted_text(key) + ", which a job cannot do: prepare a file with prompt, chosen and rejected");
    }
  }
  const std::string type = scalar_of(entry, "type");
  const bool has_type = entry["type"].IsDefined() && !entry["type"].IsNull();
  if (has_type && type != "passthrough" && type != "passthrough.default") {
    fault(name,
          "has a `type`: prepare a file with prompt, chosen and rejected, texts or messages, and give it with "
          "--train");
  }
  const std::string path = scalar_of(entry, "path"), given_split = scalar_of(entry, "split");
  const std::string split = given_split.empty() ? "train" : given_split;
  YAML::Node files = entry["data_files"];
  if (files.IsDefined() && !files.IsNull()) {
    if (files.IsMap() && files[split].IsDefined()) {
      files.reset(files[split]);
    } else if (split != "train") {  // what load_dataset() calls files without a name
      return no_part(name, split);
    }
    if (files.IsSequence() && files.size() == 1) files.reset(files[0]);
    if (files.IsScalar() && files.Scalar().find_first_of("*?[") == std::string::npos &&
        files.Scalar().find("://") == std::string::npos) {
      return job_path(files.Scalar());
    }
    fault(name, "expected one file of this machine in data_files; several are entries of their own");
    return std::nullopt;
  }
  if (fs::is_directory(path)) {
    if (const auto found = split_in(path, split)) return job_path(*found);
  }
  if (split != "train") return no_part(name, split);
  if (is_there(path)) return job_path(path);
  fault(name, "no " + quoted_text(path) + " is here" + kGiveFile);
  return std::nullopt;
}

void TrlJob::data_list(std::string_view name, std::string_view one_key, std::string_view list_key) {
  read_.emplace(name);
  const GivenSetting* const setting = find(name);
  if (setting == nullptr) return;
  if (!setting->value.IsSequence())
    return fault(name, "expected a list such as [{path: json, data_files: train.jsonl}]");
  std::vector<std::string> paths;
  for (const YAML::Node& entry : setting->value) {
    if (const auto path = hub_file(entry, name)) paths.push_back(*path);
  }
  if (paths.size() == 1) return set_text(name, one_key, paths.front());
  YAML::Node list(YAML::NodeType::Sequence);
  for (const std::string& path : paths) {
    YAML::Node file;
    file["path"] = path;
    list.push_back(file);
  }
  if (!paths.empty()) set(name, list_key, list);
}

void TrlJob::data() {
  if (!request_.train.empty()) {
    set_text("--train", "data.train", job_path(request_.train));
  } else if (request_.trainer == Trainer::kLlamaFactory) {
    fault("dataset", "is a name in dataset_info.json, expected --train FILE");
  } else if (const GivenSetting* const list = find("datasets");
             list != nullptr && (!list->value.IsSequence() || list->value.size() > 0)) {
    data_list("datasets", "data.train", "data.train_files");
  } else if (find("dataset_name") != nullptr) {
    const std::string split = text("dataset_train_split").value_or("train");
    if (const auto path = split_path("dataset_name", split)) set_text("dataset_name", "data.train", *path);
  } else {
    fault(request_.trainer == Trainer::kTrl ? "dataset_name" : "datasets", "expected the training pairs: --train FILE");
  }
  const std::string_view key = is_given("evaluation_strategy") ? "evaluation_strategy" : "eval_strategy";
  const std::string strategy = text(key).value_or("no");
  const bool evaluates = strategy == "steps" || strategy == "epoch";  // evaluation() refuses what is none of TRL's
  if (!request_.validation.empty()) {
    set_text("--validation", "data.validation", job_path(request_.validation));
  } else if (find("test_datasets") != nullptr) {
    data_list("test_datasets", "data.validation", "data.validation_files");
  } else if (evaluates && request_.trainer == Trainer::kTrl && find("dataset_name") != nullptr &&
             request_.train.empty()) {
    const std::string split = text("dataset_test_split").value_or("test");
    if (const auto path = split_path("dataset_test_split", split))
      set_text("dataset_test_split", "data.validation", *path);
  } else if (evaluates) {
    fault(key, "needs validation pairs: --validation FILE");
  }
}

}  // namespace equipoise
