// Data files as token ids: tokenised once on a host, read from the cache folder ever after.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/sha256.h"
#include "worker/data/chat_templates.h"
#include "worker/data/encoded_pair.h"

namespace equipoise {

struct LoaderSettings {
  std::filesystem::path model;                         // folder of the tokenizer
  std::optional<std::filesystem::path> chat_template;  // in place of the folder's
  EncodeSettings encode;                               // chat_templates is filled in by the loader
  std::string group_separator;
  std::filesystem::path cache;  // folder, see common/base/cache_folder.h; empty: nothing is kept
  int threads = 1;              // of this process, where it tokenises for itself alone
};

struct LoadedDataset {
  EncodedDataset data;
  std::string file;  // that was read
  bool from_cache = false;
  std::chrono::duration<double> seconds;  // all of it took
  std::vector<std::string> notes;         // what a user should know of the cache or the template, a line each
};

// Not thread-safe. The tokenizer is read when a file has to be tokenised, and only then.
class DatasetLoader {
 public:
  explicit DatasetLoader(LoaderSettings settings) : settings_(std::move(settings)) {}

  // The pairs of one file. `known_groups` as for read_preference_file(). Of the processes that want the same file
  // tokenised in the same way at the same time one does it, with all cores of the host, and the others wait for it. A
  // store that is broken is made anew; a cache that cannot be used is not: both are noted.
  // Throws what read_preference_file(), load_model_tokenizer(), ChatTemplates::load() and encode_pairs() throw.
  LoadedDataset load(const std::filesystem::path& file, const std::vector<std::string>& known_groups);

  // SHA-256 of all that the result of load() depends on: the bytes of the data file and of the files that make the
  // tokenizer and the template, the settings, the known groups, the day where a template shows it.
  Digest key(const std::filesystem::path& file, const std::vector<std::string>& known_groups) const;

 private:
  EncodedDataset tokenize(const std::filesystem::path& file, const std::vector<std::string>& known_groups, int threads);
  void load_through_cache(const std::vector<std::string>& known_groups, LoadedDataset& loaded);
  bool take_stored(const std::filesystem::path& entry, const Digest& key, LoadedDataset& loaded);

  LoaderSettings settings_;
  std::optional<ModelTokenizer> tokenizer_;
  std::optional<ChatTemplates> chat_templates_;
};

}  // namespace equipoise
