// Data files as token ids: tokenised once on a host, read from the cache folder ever after.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/sha256.h"
#include "worker/data/chat_templates.h"
#include "worker/data/encoded_dataset.h"
#include "worker/data/file_lock.h"
#include "worker/data/pair_chunks.h"

namespace equipoise {

struct LoaderSettings {
  std::filesystem::path model;                         // folder of the tokenizer
  std::optional<std::filesystem::path> chat_template;  // in place of the folders'
  std::optional<std::filesystem::path> adapter = {};   // folder whose chat templates come before the model's
  EncodeSettings encode;                               // chat_templates is filled in by the loader
  std::string group_separator;
  std::filesystem::path cache;  // folder, see common/base/cache_folder.h; empty: nothing is kept
  int threads = 1;              // of this process, where it tokenises for itself alone
  ChunkLimits chunk = {};       // of what is tokenised at once
  // Called after each chunk that was tokenised, here or by the process that does it meanwhile, and after each piece of
  // a file that was hashed.
  std::function<void()> on_progress = {};
};

// Where a file's pairs have their groups from; see PreferenceReadSettings.
struct GroupSource {
  std::vector<std::string> columns = {"group"};
  std::string constant = {};  // of all pairs; empty: `columns` say
};

struct LoadedDataset {
  EncodedDataset data;
  std::string file;  // that was read
  bool from_cache = false;
  std::chrono::duration<double> seconds;  // all of it took
  // What a user should know of the cache or the template, a line each; of the fields field_notes(data.fields) says it.
  std::vector<std::string> notes;
};

// Not thread-safe. The tokenizer is read when a file has to be tokenised, and only then.
class DatasetLoader {
 public:
  explicit DatasetLoader(LoaderSettings settings) : settings_(std::move(settings)) {}

  // The pairs of one file. `known_groups` as for read_preference_file(). Of the processes that want the same file
  // tokenised in the same way at the same time one does it, with all cores of the host, and the others wait for it. A
  // store that is broken is made anew; a cache that cannot be used is not: both are noted.
  // Throws what read_preference_file(), load_model_tokenizer(), ChatTemplates::load() and encode_pairs() throw.
  LoadedDataset load(const std::filesystem::path& file, const std::vector<std::string>& known_groups,
                     const GroupSource& groups = {});

  // SHA-256 of all that the result of load() depends on: the bytes of the data file and of the files that make the
  // tokenizer and the template, the settings, the known groups, the day where a template shows it.
  Digest key(const std::filesystem::path& file, const std::vector<std::string>& known_groups,
             const GroupSource& groups = {}) const;

  // What a file was when its content was read; one that changes meanwhile is not kept.
  struct FileState {
    std::uintmax_t size = 0;
    std::filesystem::file_time_type time;
    bool operator==(const FileState&) const = default;
  };

 private:
  struct Source {
    const std::filesystem::path& file;
    const std::vector<std::string>& known_groups;
    const GroupSource& groups;
  };
  struct Entry {
    std::filesystem::path path;
    Digest key;
    std::vector<FileState> states;  // of the data's files, before the key was made
  };
  using TakePairs = std::function<void(EncodedPairs)>;  // the next of the data

  void load_through_cache(const Source& source, LoadedDataset& loaded);
  Entry entry_of(const Source& source) const;
  bool take_stored(const Entry& entry, LoadedDataset& loaded);
  void store(const Source& source, const Entry& entry, int threads, FileLock* lock);
  EncodedDataset tokenize(const Source& source, int threads);
  EncodedDataset tokenize(const Source& source, int threads, const TakePairs& take);  // without pairs
  void load_template_for(std::span<const PreferencePair> pairs);
  const TemplateChoice& template_choice() const;

  LoaderSettings settings_;
  std::optional<ModelTokenizer> tokenizer_;
  bool has_said_template_ = false;
  std::optional<ChatTemplates> chat_templates_;
  mutable std::optional<TemplateChoice> template_choice_;  // made once it is asked for
};

}  // namespace equipoise
