#include "common/dataset/data_files.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/base/download_fault.h"
#include "common/base/message_text.h"
#include "common/base/path_check.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;
namespace dom = simdjson::dom;
using Files = std::vector<fs::path>;

constexpr std::array<std::string_view, 5> kExtensions = {".parquet", ".arrow", ".jsonl", ".jsonl.gz", ".jsonl.zst"};
// Names of files that are one split of several, where nothing else in the name says so.
constexpr std::array<std::string_view, 6> kSplits = {"train", "validation", "test", "valid", "dev", "eval"};

[[noreturn]] void refuse(const fs::path& path, const std::string& what) {
  throw std::invalid_argument(path.string() + ": " + what);
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// That of kExtensions which the name ends with, else what there is.
std::string extension_of(const fs::path& file) {
  const std::string name = file.filename().string();
  for (const std::string_view extension : kExtensions) {
    if (name.size() > extension.size() && name.ends_with(extension)) return std::string(extension);
  }
  return file.extension().string();
}

// "train" and 2 of "train-00000-of-00002.parquet".
struct Shard {
  std::string split;
  std::size_t count = 0;  // 0: the name does not say
};

Shard shard_of(const fs::path& file) {
  constexpr std::string_view kPattern = "-00000-of-00000";
  const std::string name = file.filename().string();
  const std::string stem = name.substr(0, name.size() - extension_of(file).size());
  const bool known = std::ranges::find(kSplits, stem) != kSplits.end();
  if (stem.size() <= kPattern.size()) return {.split = known ? stem : ""};
  const std::string_view end = std::string_view(stem).substr(stem.size() - kPattern.size());
  const auto fits = [](char a, char b) { return b == '0' ? a >= '0' && a <= '9' : a == b; };
  if (!std::equal(end.begin(), end.end(), kPattern.begin(), fits)) return {};
  return {.split = stem.substr(0, stem.size() - kPattern.size()),
          .count = std::stoul(std::string(end.substr(end.size() - 5)))};
}

// Files with data right in `folder`, by name.
Files files_in(const fs::path& folder) {
  Files files;
  std::error_code problem;
  for (fs::directory_iterator entry(folder, problem), end; entry != end; entry.increment(problem)) {
    const fs::path& path = entry->path();
    const bool data = std::ranges::find(kExtensions, extension_of(path)) != kExtensions.end();
    if (data && !path.filename().string().starts_with('.')) files.push_back(path);
    if (problem) break;
  }
  if (problem) refuse(folder, "cannot be read: " + problem.message());
  std::ranges::sort(files);
  return files;
}

std::string list_of(const fs::path& folder, const std::set<std::string>& splits) {
  std::string list;
  for (const std::string& split : splits) list += (list.empty() ? "" : ", ") + (folder / split).string();
  return list;
}

// Of one folder and one split: all there, all alike.
const Files& whole(const fs::path& path, const Files& files) {
  for (const fs::path& file : files) {
    if (extension_of(file) == extension_of(files[0])) continue;
    refuse(path, "holds " + quoted_text(files[0].filename().string()) + " and " +
                     quoted_text(file.filename().string()) + ", expected files of one kind");
  }
  const std::size_t count = shard_of(files[0]).count;
  if (count != 0 && count != files.size()) {
    refuse(path, "holds " + std::to_string(files.size()) + " of the " + std::to_string(count) + " files that " +
                     quoted_text(files[0].filename().string()) + " speaks of");
  }
  return files;
}

// Empty where `folder` has no such file.
Files files_of_split(const fs::path& folder, const std::string& split) {
  if (!is_folder(folder)) return {};
  Files files = files_in(folder);
  std::erase_if(files, [&](const fs::path& file) { return shard_of(file).split != split; });
  return files;
}

dom::element json_in(dom::parser& parser, const fs::path& file) {
  constexpr std::uintmax_t kMost = 16 << 20;
  std::error_code problem;
  check_download(file);
  if (!fs::is_regular_file(file, problem)) refuse(file, "is not a file");
  if (fs::file_size(file, problem) > kMost) refuse(file, "is larger than 16 MiB");
  dom::element json;
  if (parser.load(file.string()).get(json) != simdjson::SUCCESS) refuse(file, "is not JSON");
  return json;
}

[[noreturn]] void refuse_dict(const fs::path& folder) {
  std::set<std::string> splits;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    if (is_there(entry.path() / "state.json")) splits.insert(entry.path().filename().string());
  }
  refuse(folder, splits.empty() ? "holds dataset_dict.json but no data sets"
                                : "holds several splits, expected one of them: " + list_of(folder, splits));
}

fs::path saved_file(const fs::path& folder, const dom::element& entry) {
  std::string_view name;
  const bool named = entry.at_key("filename").get_string().get(name) == simdjson::SUCCESS;
  const fs::path plain(named ? name : "");
  // The files of a data set are beside its state, wherever the state may point.
  if (plain.empty() || plain != plain.filename() || plain == "." || plain == "..") {
    refuse(folder / "state.json", "field \"_data_files\" names " + (named ? quoted_text(name) : "no file") +
                                      ", expected the name of a file in its folder");
  }
  return folder / plain;
}

Files saved_files(const fs::path& folder) {
  const fs::path state = folder / "state.json";
  dom::parser parser;
  const dom::element json = json_in(parser, state);
  dom::array indices, entries;
  if (json.at_key("_indices_files").get(indices) == simdjson::SUCCESS && indices.size() > 0) {
    refuse(state,
           "field \"_indices_files\" is a selection of rows, expected none: save the data set with a newer `datasets`");
  }
  if (json.at_key("_data_files").get(entries) != simdjson::SUCCESS || entries.size() == 0) {
    refuse(state, "field \"_data_files\" is missing or empty, expected a list of {\"filename\": ...}");
  }
  Files files;
  for (const dom::element& entry : entries) files.push_back(saved_file(folder, entry));
  return files;
}

Files files_of_folder(const fs::path& folder) {
  if (is_there(folder / "dataset_dict.json")) refuse_dict(folder);
  if (entry_exists(folder / "state.json")) return saved_files(folder);
  Files files = files_in(folder);
  if (files.empty() && is_folder(folder / "data")) files = files_in(folder / "data");
  if (files.empty()) {
    refuse(folder,
           "holds no data, expected state.json of a saved data set, or files *.parquet, *.arrow, *.jsonl, "
           "*.jsonl.gz or *.jsonl.zst");
  }
  std::set<std::string> splits;
  for (const fs::path& file : files) splits.insert(shard_of(file).split);
  if (splits.size() > 1 && splits.contains(""))
    refuse(folder, "holds files of a split and other files, expected one kind");
  if (splits.size() > 1) refuse(folder, "holds several splits, expected one of them: " + list_of(folder, splits));
  return whole(folder, files);
}

}  // namespace

Files data_files(const fs::path& path) {
  if (is_folder(path)) return files_of_folder(path);
  if (is_there(path)) return {path};
  const std::string split = path.filename().string();
  for (const fs::path& folder : {path.parent_path(), path.parent_path() / "data"}) {
    if (split.empty() || path.extension() != "") break;
    const Files files = files_of_split(folder.empty() ? "." : folder, split);
    if (!files.empty()) return whole(path, files);
  }
  refuse(path, absent_file_fault(path));
}

std::int64_t data_bytes(const fs::path& path) {
  std::int64_t bytes = 0;
  try {
    for (const fs::path& file : data_files(path)) {
      std::error_code problem;
      const std::uintmax_t size = fs::file_size(file, problem);
      if (!problem) bytes += static_cast<std::int64_t>(size);
    }
  } catch (const std::invalid_argument&) {
    return 0;  // whoever reads it says what is wrong
  }
  return bytes;
}

DataFormat data_format(const fs::path& file) {
  constexpr std::string_view kParquet = "PAR1", kArrowStream = "\xFF\xFF\xFF\xFF";
  std::error_code problem;
  const auto status = fs::status(file, problem);
  if (!fs::exists(status)) refuse(file, absent_file_fault(file));
  // A pipe or a device could block or never end.
  if (!fs::is_regular_file(status)) refuse(file, "is not a file");
  std::ifstream stream(file, std::ios::binary);
  if (!stream) refuse(file, std::string("cannot be read: ") + std::strerror(errno));
  std::array<char, 4> start{};
  stream.read(start.data(), start.size());
  const std::string_view magic(start.data(), static_cast<std::size_t>(stream.gcount()));
  if (magic == kParquet || magic == kArrowStream) return DataFormat::kTable;
  const bool is_parquet = file.extension() == ".parquet";
  if (!is_parquet && file.extension() != ".arrow") return DataFormat::kJsonLines;
  check_download(file);
  refuse(file, is_parquet ? "does not begin as a Parquet file" : "does not begin as an Arrow stream");
}

}  // namespace equipoise
