#include "worker/data/dataset_loader.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "common/base/bounded_file.h"
#include "common/base/cache_folder.h"
#include "common/base/sha256.h"
#include "common/dataset/data_files.h"
#include "worker/data/file_lock.h"
#include "worker/data/pair_encoder.h"
#include "worker/data/pair_texts.h"
#include "worker/data/stored_dataset.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kKind = "tokens";
constexpr std::string_view kExtension = "tokens";
// Longer than a chunk takes; whoever holds the lock for longer without a sign hangs.
constexpr std::chrono::minutes kPatience{30};
constexpr std::uintmax_t kLargestSettings = std::uintmax_t{256} << 20;

// All files of a folder that may be or hold its templates.
constexpr const char* kTemplateFiles[] = {"chat_template.jinja", "tokenizer_config.json",
                                          "additional_chat_templates/default.jinja",
                                          "additional_chat_templates/tool_use.jinja"};
// All files of a model folder that token ids may depend on.
constexpr const char* kTokenizerFiles[] = {"tokenizer.json",
                                           "tokenizer_config.json",
                                           "special_tokens_map.json",
                                           "config.json",
                                           "generation_config.json",
                                           "chat_template.jinja",
                                           "additional_chat_templates/default.jinja",
                                           "additional_chat_templates/tool_use.jinja"};

bool names_the_clock(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;
  if (fs::file_size(path, ignored) > kLargestSettings) return false;  // whoever reads it will refuse it
  return read_bounded_file(path, kLargestSettings, "settings").find("strftime_now") != std::string::npos;
}

// That another template of the same folder names the clock does no harm.
bool shows_the_day(const fs::path& folder) {
  return std::ranges::any_of(kTemplateFiles, [&](const char* file) { return names_the_clock(folder / file); });
}

void add_number(Sha256& key, std::int64_t number) { key.add_text(std::to_string(number)); }

// The content alone. Nothing where there is no such file; whoever needs it will say so.
void add_file(Sha256& key, const fs::path& path, const std::function<void()>& on_progress = {}) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return key.add_text("no file");
  key.add_text("file");
  add_number(key, static_cast<std::int64_t>(fs::file_size(path, ignored)));
  key.update_from(path, [&](std::int64_t /*bytes*/) {
    if (on_progress) on_progress();
  });
}

void add_day_if(bool shows_it, Sha256& key) {
  if (shows_it) add_number(key, start_of_day(std::chrono::system_clock::now()).time_since_epoch().count());
}

void add_own_template(const fs::path& file, Sha256& key) {
  key.add_text("own template");
  add_file(key, file);
  add_day_if(names_the_clock(file), key);
}

// The templates that are used, but for those in the model's folder, whose files a key has anyway.
void add_templates(const TemplateChoice& choice, Sha256& key) {
  key.add_text(choice.is_of_adapter() ? "the adapter's template" : "the folder's template");
  if (choice.is_of_adapter()) {
    for (const char* name : kTemplateFiles) add_file(key, choice.folder() / name);
  }
  add_day_if(shows_the_day(choice.folder()), key);
}

using FileState = DatasetLoader::FileState;

std::vector<FileState> states_of(const std::vector<fs::path>& paths) {
  std::vector<FileState> states;
  std::error_code ignored;
  for (const fs::path& path : paths) {
    states.push_back({.size = fs::file_size(path, ignored), .time = fs::last_write_time(path, ignored)});
  }
  return states;
}

// The store, not the data, is what fails.
class CannotKeep : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class Work>
void keep(const Work& work) {
  try {
    work();
  } catch (const std::exception& unusable) {  // a full disk is no reason to fail
    throw CannotKeep(unusable.what());
  }
}

// The cores of this process, which others that wait do not need. OMP_NUM_THREADS has the last word.
int all_threads(int own) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (std::getenv("OMP_NUM_THREADS") != nullptr || ::sched_getaffinity(0, sizeof(cores), &cores) != 0) return own;
  return std::max(own, CPU_COUNT(&cores));
}

// Without one each process tokenises for itself.
std::optional<FileLock> lock_of(const fs::path& entry, const std::function<void()>& on_progress) {
  try {
    make_cache_place(entry);
    return FileLock::acquire(fs::path(entry) += ".lock", kPatience, on_progress);
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
}

}  // namespace

Digest DatasetLoader::key(const fs::path& file, const std::vector<std::string>& known_groups,
                          const GroupSource& groups) const {
  Sha256 key;
  key.add_text(kStoredDatasetVersion);
  const auto files = data_files(file);
  add_number(key, static_cast<std::int64_t>(files.size()));
  for (const fs::path& part : files) add_file(key, part, settings_.on_progress);
  for (const char* name : kTokenizerFiles) add_file(key, settings_.model / name);
  if (settings_.chat_template) {
    add_own_template(*settings_.chat_template, key);
  } else {
    add_templates(template_choice(), key);
  }
  const EncodeSettings& encode = settings_.encode;
  add_number(key, encode.max_length);
  add_number(key, encode.max_prompt_length.value_or(-1));
  add_number(key, static_cast<std::int64_t>(encode.truncation));
  add_number(key, static_cast<std::int64_t>(encode.tokenization));
  add_number(key, static_cast<std::int64_t>(encode.answers));
  key.add_text(settings_.group_separator);
  key.add_text(groups.constant);
  add_number(key, static_cast<std::int64_t>(groups.columns.size()));
  for (const std::string& column : groups.columns) key.add_text(column);
  for (const std::string& name : known_groups) key.add_text(name);
  return key.finish();
}

LoadedDataset DatasetLoader::load(const fs::path& file, const std::vector<std::string>& known_groups,
                                  const GroupSource& groups) {
  const auto start = std::chrono::steady_clock::now();
  LoadedDataset loaded{.data = {}, .file = file.string(), .from_cache = false, .seconds = {}, .notes = {}};
  const Source source{.file = file, .known_groups = known_groups, .groups = groups};
  if (settings_.cache.empty()) {
    loaded.data = tokenize(source, settings_.threads);
  } else {
    load_through_cache(source, loaded);
  }
  if (const std::string& note = template_choice().note(); !note.empty() && !std::exchange(has_said_template_, true)) {
    loaded.notes.push_back(note);
  }
  loaded.seconds = std::chrono::steady_clock::now() - start;
  return loaded;
}

void DatasetLoader::load_through_cache(const Source& source, LoadedDataset& loaded) {
  const Entry entry = entry_of(source);
  if (take_stored(entry, loaded)) return;
  auto lock = lock_of(entry.path, settings_.on_progress);
  if (lock && take_stored(entry, loaded)) return;  // by the one who held the lock before
  const int threads = lock ? all_threads(settings_.threads) : settings_.threads;
  try {
    store(source, entry, threads, lock ? &*lock : nullptr);
    if (!take_stored(entry, loaded)) throw CannotKeep(entry.path.string() + " is gone");
    loaded.from_cache = false;
  } catch (const CannotKeep& failure) {
    loaded.notes.push_back(std::string("token ids are not kept: ") + failure.what());
    loaded.data = tokenize(source, threads);
  }
}

DatasetLoader::Entry DatasetLoader::entry_of(const Source& source) const {
  std::vector<FileState> before = states_of(data_files(source.file));
  const Digest digest = key(source.file, source.known_groups, source.groups);
  return {.path = cache_entry(settings_.cache, kKind, digest, kExtension), .key = digest, .states = std::move(before)};
}

// `lock`: whoever waits for it learns that this goes on; null: nobody does.
void DatasetLoader::store(const Source& source, const Entry& entry, int threads, FileLock* lock) {
  std::optional<StoredDatasetWriter> writer;
  keep([&] {
    make_cache_place(entry.path);
    writer.emplace(entry.path, entry.key);
  });
  const EncodedDataset counts = tokenize(source, threads, [&](EncodedPairs pairs) {
    keep([&] { writer->add(pairs); });
    if (lock != nullptr) lock->give_sign();
  });
  if (states_of(data_files(source.file)) != entry.states) {
    throw CannotKeep(source.file.string() + " has changed while it was read");
  }
  keep([&] { writer->commit(counts); });
}

bool DatasetLoader::take_stored(const Entry& entry, LoadedDataset& loaded) {
  try {
    auto dataset = read_dataset(entry.path, entry.key);
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

EncodedDataset DatasetLoader::tokenize(const Source& source, int threads) {
  EncodedPairs pairs;
  EncodedDataset dataset = tokenize(source, threads, [&](EncodedPairs more) { pairs.append(std::move(more)); });
  dataset.pairs = std::move(pairs);
  return dataset;
}

EncodedDataset DatasetLoader::tokenize(const Source& source, int threads, const TakePairs& take) {
  const bool is_sft = settings_.encode.answers == Answers::kChosen;
  PairChunks chunks({source.file,
                     {.rejected = is_sft ? Rejected::kOptional : Rejected::kRequired,
                      .known_groups = source.known_groups,
                      .group_separator = settings_.group_separator,
                      .group_columns = source.groups.columns,
                      .group = source.groups.constant}},
                    settings_.chunk);
  if (!tokenizer_) tokenizer_ = load_model_tokenizer(settings_.model);
  PairEncoder encoder(*tokenizer_, settings_.encode, threads);
  try {
    for (auto pairs = chunks.next(); !pairs.empty(); pairs = chunks.next()) {
      load_template_for(pairs);
      take(encoder.encode(pairs));
      if (settings_.on_progress) settings_.on_progress();
    }
  } catch (const PairRefused& refused) {
    throw std::invalid_argument(chunks.place(refused.line()) + ": " + refused.what());
  }
  EncodedDataset counts = encoder.finish(chunks.group_names());
  counts.fields = chunks.fields();
  return counts;
}

const TemplateChoice& DatasetLoader::template_choice() const {
  if (!template_choice_) {
    // Nobody asks for the adapter's where a file is in their place.
    const auto& adapter = settings_.chat_template ? std::optional<fs::path>() : settings_.adapter;
    template_choice_.emplace(TemplateFolders{.model = settings_.model, .adapter = adapter});
  }
  return *template_choice_;
}

// A template that nobody needs may be as wrong as it likes.
void DatasetLoader::load_template_for(std::span<const PreferencePair> pairs) {
  const auto is_chat = [](const PreferencePair& pair) { return pair.form == AnswerForm::kMessages; };
  if (chat_templates_ || std::ranges::none_of(pairs, is_chat)) return;
  chat_templates_ = ChatTemplates::load(template_choice(), settings_.chat_template, std::chrono::system_clock::now());
  if (chat_templates_) settings_.encode.chat_templates = &*chat_templates_;
}

}  // namespace equipoise
