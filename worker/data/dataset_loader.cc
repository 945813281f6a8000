#include "worker/data/dataset_loader.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "common/base/cache_folder.h"
#include "common/base/file_lock.h"
#include "common/dataset/preference_pair.h"
#include "worker/data/stored_dataset.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kKind = "tokens";
constexpr std::string_view kExtension = "tokens";
// Longer than tokenising takes; whoever holds the lock longer hangs.
constexpr std::chrono::minutes kPatience{30};

// All files of a model folder that token ids may depend on.
constexpr const char* kTokenizerFiles[] = {"tokenizer.json",
                                           "tokenizer_config.json",
                                           "special_tokens_map.json",
                                           "config.json",
                                           "generation_config.json",
                                           "chat_template.jinja",
                                           "additional_chat_templates/tool_use.jinja"};

class KeyMaker {
 public:
  void add(std::string_view text) {
    const std::uint64_t size = text.size();
    sha256_.update(std::as_bytes(std::span(&size, 1)));
    sha256_.update(text);
  }
  void add(std::int64_t number) { add(std::to_string(number)); }

  // Nothing where there is no such file; whoever needs it will say so.
  void add_file(const fs::path& path) {
    std::error_code ignored;
    if (!fs::is_regular_file(path, ignored)) return add("no file");
    add("file");
    add(static_cast<std::int64_t>(fs::file_size(path, ignored)));
    std::ifstream file(path, std::ios::binary);
    std::vector<char> chunk(1 << 20);
    while (file.read(chunk.data(), static_cast<std::streamsize>(chunk.size())) || file.gcount() > 0) {
      const std::string_view text(chunk.data(), static_cast<std::size_t>(file.gcount()));
      sha256_.update(text);
    }
  }

  Digest finish() { return sha256_.finish(); }

 private:
  Sha256 sha256_;
};

bool names_the_clock(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return text.find("strftime_now") != std::string::npos;
}

// Of the template that is used; that another one of the folder names the clock does no harm.
bool shows_the_day(const LoaderSettings& settings) {
  if (settings.chat_template) return names_the_clock(*settings.chat_template);
  const auto names = [&](const char* file) { return names_the_clock(settings.model / file); };
  return names("chat_template.jinja") || names("tokenizer_config.json") ||
         names("additional_chat_templates/tool_use.jinja");
}

// What a file was when it was read; a file that changes meanwhile is not kept.
struct FileState {
  std::uintmax_t size = 0;
  fs::file_time_type time;
  bool operator==(const FileState&) const = default;
};

FileState state_of(const fs::path& path) {
  std::error_code ignored;
  return {.size = fs::file_size(path, ignored), .time = fs::last_write_time(path, ignored)};
}

// The cores of this process, which others that wait do not need. OMP_NUM_THREADS has the last word.
int all_threads(int own) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (std::getenv("OMP_NUM_THREADS") != nullptr || ::sched_getaffinity(0, sizeof(cores), &cores) != 0) return own;
  return std::max(own, CPU_COUNT(&cores));
}

// Without one each process tokenises for itself.
std::optional<FileLock> lock_of(const fs::path& entry) {
  try {
    make_cache_place(entry);
    return FileLock::acquire(fs::path(entry) += ".lock", kPatience);
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
}

}  // namespace

Digest DatasetLoader::key(const fs::path& file, const std::vector<std::string>& known_groups) const {
  KeyMaker key;
  key.add(kStoredDatasetVersion);
  key.add_file(file);
  for (const char* name : kTokenizerFiles) key.add_file(settings_.model / name);
  key.add(settings_.chat_template ? "own template" : "the folder's template");
  if (settings_.chat_template) key.add_file(*settings_.chat_template);
  if (shows_the_day(settings_)) key.add(start_of_day(std::chrono::system_clock::now()).time_since_epoch().count());
  const EncodeSettings& encode = settings_.encode;
  key.add(encode.max_length);
  key.add(encode.max_prompt_length.value_or(-1));
  key.add(static_cast<std::int64_t>(encode.truncation));
  key.add(static_cast<std::int64_t>(encode.tokenization));
  key.add(static_cast<std::int64_t>(encode.answers));
  key.add(settings_.group_separator);
  for (const std::string& name : known_groups) key.add(name);
  return key.finish();
}

LoadedDataset DatasetLoader::load(const fs::path& file, const std::vector<std::string>& known_groups) {
  const auto start = std::chrono::steady_clock::now();
  LoadedDataset loaded{.data = {}, .file = file.string(), .from_cache = false, .seconds = {}, .notes = {}};
  if (settings_.cache.empty()) {
    loaded.data = tokenize(file, known_groups, settings_.threads);
  } else {
    load_through_cache(known_groups, loaded);
  }
  loaded.seconds = std::chrono::steady_clock::now() - start;
  return loaded;
}

void DatasetLoader::load_through_cache(const std::vector<std::string>& known_groups, LoadedDataset& loaded) {
  const FileState before = state_of(loaded.file);
  const Digest digest = key(loaded.file, known_groups);
  const fs::path entry = cache_entry(settings_.cache, kKind, digest, kExtension);
  if (take_stored(entry, digest, loaded)) return;
  const auto lock = lock_of(entry);
  if (lock && take_stored(entry, digest, loaded)) return;  // by the one who held the lock before
  loaded.data = tokenize(loaded.file, known_groups, lock ? all_threads(settings_.threads) : settings_.threads);
  try {
    if (state_of(loaded.file) != before) throw std::invalid_argument(loaded.file + " has changed while it was read");
    make_cache_place(entry);
    StoredDatasetWriter store(entry, digest);
    store.add(loaded.data.pairs);
    store.commit(loaded.data);
  } catch (const std::exception& unusable) {  // a full disk is no reason to fail
    loaded.notes.push_back("token ids are not kept: " + std::string(unusable.what()));
  }
}

bool DatasetLoader::take_stored(const fs::path& entry, const Digest& key, LoadedDataset& loaded) {
  try {
    auto dataset = read_dataset(entry, key);
    if (!dataset) return false;
    loaded.data = *std::move(dataset);
    loaded.from_cache = true;
    return true;
  } catch (const std::invalid_argument& broken) {
    const std::string note = std::string(broken.what()) + "; it is made anew";
    if (std::ranges::find(loaded.notes, note) == loaded.notes.end()) loaded.notes.push_back(note);
    return false;
  }
}

EncodedDataset DatasetLoader::tokenize(const fs::path& file, const std::vector<std::string>& known_groups,
                                       int threads) {
  const bool is_sft = settings_.encode.answers == Answers::kChosen;
  const PreferenceData data = read_preference_file(file, is_sft ? Rejected::kOptional : Rejected::kRequired,
                                                   known_groups, settings_.group_separator);
  if (!tokenizer_) tokenizer_ = load_model_tokenizer(settings_.model);
  // A template that nobody needs may be as wrong as it likes.
  const auto is_chat = [](const PreferencePair& pair) { return pair.form == AnswerForm::kMessages; };
  if (!chat_templates_ && std::ranges::any_of(data.pairs, is_chat)) {
    chat_templates_ = ChatTemplates::load(settings_.model, settings_.chat_template, std::chrono::system_clock::now());
    if (chat_templates_) settings_.encode.chat_templates = &*chat_templates_;
  }
  return encode_pairs(data, *tokenizer_, settings_.encode, threads);
}

}  // namespace equipoise
