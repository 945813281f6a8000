#include "worker/data/dataset_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "common/base/cache_folder.h"
#include "common/config/job_config.h"
#include "tests/support/temp_folder.h"
#include "worker/data/stored_dataset.h"

namespace equipoise {
namespace dataset_loader_test {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

constexpr char kData[] = "golden/lm/data/train.jsonl";

class Loader : public testing::Test {
 protected:
  Loader() {
    fs::create_directory(folder_ / "model");
    for (const char* name : {"tokenizer.json", "tokenizer_config.json", "config.json"}) {
      fs::copy(fs::path("golden/lm/models/gemma/policy") / name, folder_ / "model" / name);
    }
    settings_.model = folder_ / "model";
    settings_.cache = folder_ / "cache";
  }

  LoadedDataset load(const fs::path& file = kData, const std::vector<std::string>& known_groups = {}) const {
    return DatasetLoader(settings_).load(file, known_groups, groups_);
  }
  Digest key(const fs::path& file = kData, const std::vector<std::string>& known_groups = {}) const {
    return DatasetLoader(settings_).key(file, known_groups, groups_);
  }
  fs::path only_entry() const {
    const fs::path entries = settings_.cache / "tokens";
    EXPECT_EQ(std::distance(fs::directory_iterator(entries), {}), 1);
    return *fs::directory_iterator(entries);
  }

  TempFolder folder_;
  LoaderSettings settings_;
  GroupSource groups_;
};

void expect_same(const EncodedDataset& a, const EncodedDataset& b) {
  EXPECT_EQ(dataset_digest(a), dataset_digest(b));
  EXPECT_EQ(a.pair_count_K, b.pair_count_K);
  EXPECT_EQ(a.dropped_count_K, b.dropped_count_K);
  EXPECT_EQ(a.shortened_count_K, b.shortened_count_K);
  ASSERT_EQ(a.pairs.num_dropped(), b.pairs.num_dropped());
  for (std::size_t i = 0; i < a.pairs.num_dropped(); ++i) {
    EXPECT_EQ(a.pairs.dropped(i).position, b.pairs.dropped(i).position);
    EXPECT_EQ(a.pairs.dropped(i).cause.text(), b.pairs.dropped(i).cause.text());
    EXPECT_EQ(a.pairs.dropped(i).memberships.front().group, b.pairs.dropped(i).memberships.front().group);
  }
}

// Also where there is nothing to tokenise: a large file takes long to be hashed.
TEST_F(Loader, TellsThatItGoesOn) {
  int signs = 0;
  settings_.on_progress = [&] { ++signs; };
  settings_.chunk.pairs = 1;
  const LoadedDataset first = load();
  EXPECT_GT(signs, static_cast<int>(first.data.size()));
  signs = 0;
  EXPECT_TRUE(load().from_cache);
  EXPECT_GT(signs, 0);
}

TEST_F(Loader, SaysOnceThatTheAdaptersTemplateIsUsed) {
  fs::create_directory(folder_ / "adapter");
  folder_.write("adapter/chat_template.jinja", "{{ messages }}");
  settings_.adapter = folder_ / "adapter";
  DatasetLoader loader(settings_);
  const std::vector<std::string> notes = loader.load(kData, {}).notes;
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_NE(notes[0].find("the chat template is the one of the adapter in"), std::string::npos) << notes[0];
  EXPECT_THAT(loader.load("golden/lm/data/validation.jsonl", {}).notes, IsEmpty());
  settings_.chat_template = folder_.write("own.jinja", "{{ messages }}");
  EXPECT_THAT(load().notes, IsEmpty());
}

// Users have token stores on disk by this name. Of Python's hashlib, over what DatasetLoader::key() names.
TEST_F(Loader, TheKeyStaysWhatItWas) {
  const std::string row = R"({"prompt": "p", "chosen": "c", "rejected": "r"})";
  const fs::path file = folder_.write("pairs.jsonl", row + "\n");
  EXPECT_EQ(hex_text(key(file, {"known"})), "f39579574d5f9eb53927e1f2c16af34d14639f523a7194b7b5fc3954d38f972e");
}

TEST_F(Loader, ReadsTheSecondTimeWhatItTokenisedTheFirst) {
  settings_.encode.max_length = 60;
  const LoadedDataset first = load();
  EXPECT_FALSE(first.from_cache);
  EXPECT_THAT(first.notes, IsEmpty());
  ASSERT_GT(first.data.pairs.num_dropped(), 0U);
  const LoadedDataset second = load();
  EXPECT_TRUE(second.from_cache);
  expect_same(second.data, first.data);
  EXPECT_EQ(only_entry().extension(), ".tokens");  // no lock is left
}

TEST_F(Loader, KeepsAllThatARowSays) {
  const fs::path file = folder_.write(
      "pairs.jsonl",
      R"({"prompt": "p", "chosen": "c", "rejected": "r", "group": {"a": 0.25, "b": 1}, "chosen_share": 0.7, )"
      R"("weight": 3, "ref_chosen_logps": -5, "ref_rejected_logps": -6, "margin": 1})");
  const EncodedDataset first = load(file).data;
  const LoadedDataset second = load(file);
  ASSERT_TRUE(second.from_cache);
  expect_same(second.data, first);
  const EncodedPair pair = second.data.pair(0);
  EXPECT_EQ(pair.chosen_share, 0.7);
  EXPECT_EQ(pair.weight, 3);
  EXPECT_EQ(pair.reference, (ReferenceLogProbs{.chosen = -5, .rejected = -6}));
  EXPECT_THAT(second.data.pair_count_K, ElementsAre(0.75, 3));
  EXPECT_TRUE(second.data.fields.has("weight"));
  EXPECT_THAT(field_notes(second.data.fields), ElementsAre(HasSubstr("fields that are not used: \"margin\"")));
  ASSERT_EQ(pair.memberships.size(), 2U);
  EXPECT_EQ(pair.memberships[0].weight, 0.25);
  EXPECT_THAT(second.data.group_names, ElementsAre("a", "b"));
}

TEST_F(Loader, DoesNotTouchTheTokenizerTheSecondTime) {
  folder_.write("model/tokenizer.json", "no tokenizer");
  // What such a folder's tokens would be kept as, made from those of another one.
  const Digest digest = key();
  const fs::path entry = cache_entry(settings_.cache, "tokens", digest, "tokens");
  settings_.model = "golden/lm/models/gemma/policy";
  const EncodedDataset expected = load().data;
  settings_.model = folder_ / "model";
  EXPECT_THROW(load(), std::invalid_argument);
  StoredDatasetWriter store(entry, digest);
  store.add(expected.pairs);
  store.commit(expected);
  expect_same(load().data, expected);
}

TEST_F(Loader, MakesABrokenStoreAnew) {
  load();
  const fs::path entry = only_entry();
  std::string bytes = read_file(entry);
  bytes[bytes.size() / 2] ^= 1;
  folder_.write("cache/tokens/" + entry.filename().string(), bytes);
  const LoadedDataset second = load();
  EXPECT_FALSE(second.from_cache);
  EXPECT_THAT(second.notes, ElementsAre(HasSubstr("has changed since it was written; it is made anew")));
  EXPECT_TRUE(load().from_cache);
  settings_.cache.clear();
  expect_same(second.data, load().data);
}

TEST_F(Loader, GoesOnWithoutACacheThatCannotBeUsed) {
  settings_.cache = folder_.write("file", "") / "cache";
  const LoadedDataset loaded = load();
  EXPECT_THAT(loaded.notes, ElementsAre(HasSubstr("token ids are not kept: ")));
  EXPECT_FALSE(loaded.data.pairs.empty());
  settings_.cache.clear();
  expect_same(load().data, loaded.data);
}

TEST_F(Loader, GivesTheSameInChunksOfAnySize) {
  settings_.encode.max_length = 60;  // some are dropped
  const EncodedDataset expected = load().data;
  EXPECT_EQ(expected.pairs.columns().size(), 1U);
  for (const ChunkLimits chunk : {ChunkLimits{.pairs = 1}, {.pairs = 7}, {.bytes = 2000}}) {
    settings_.chunk = chunk;
    settings_.cache.clear();
    expect_same(load().data, expected);
    settings_.cache = folder_ / ("cache-" + std::to_string(chunk.pairs) + "-" + std::to_string(chunk.bytes));
    const LoadedDataset made = load(), stored = load();
    EXPECT_GT(made.data.pairs.columns().size(), 10U);
    EXPECT_FALSE(made.from_cache);
    expect_same(made.data, expected);
    EXPECT_TRUE(stored.from_cache);
    expect_same(stored.data, expected);
  }
}

TEST_F(Loader, NamesALineOfALaterChunk) {
  const std::string text = R"({"prompt": "p", "chosen": "c", "rejected": "r"})"
                           "\n";
  const std::string chat =
      R"({"prompt": [{"role": "user", "content": "a"}], "chosen": [{"role": "assistant", "content": "b"}],)"
      R"( "rejected": [{"role": "assistant", "content": "c"}]})"
      "\n";
  settings_.chunk.pairs = 2;
  EXPECT_THAT([&] { load(folder_.write("pairs.jsonl", text + text + text + chat + text)); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("pairs.jsonl:4: holds messages, but the model has no")));
  EXPECT_THAT([&] { load(folder_.write("pairs.jsonl", text + text + text + "{" + text)); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("pairs.jsonl:4: ")));
  EXPECT_TRUE(fs::is_empty(settings_.cache / "tokens"));
}

// Files of this process may not grow, as on a disk that is full.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST_F(Loader, GoesOnWhereTheDiskIsFull) {
  settings_.chunk.pairs = 10;
  std::optional<LoadedDataset> loaded;
  {
    const FullDisk disk(20'000);  // some chunks fit
    loaded = load();
  }
  EXPECT_THAT(loaded->notes, ElementsAre(HasSubstr("token ids are not kept: ")));
  EXPECT_TRUE(fs::is_empty(settings_.cache / "tokens"));
  settings_.cache.clear();
  expect_same(loaded->data, load().data);
}

TEST_F(Loader, TokenisesOnceForManyAtTheSameTime) {
  std::atomic<int> made = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { made += load().from_cache ? 0 : 1; });
  }
  EXPECT_EQ(made, 1);
  only_entry();
}

TEST_F(Loader, KeyDependsOnAllThatTheTokensDependOn) {
  std::vector<Digest> keys = {key()};
  const auto is_new = [&](const char* what) {
    keys.push_back(key());
    EXPECT_EQ(std::ranges::count(keys, keys.back()), 1) << what;
  };
  settings_.encode.max_length = 512;
  is_new("max_length");
  settings_.encode.max_prompt_length = 100;
  is_new("max_prompt_length");
  settings_.encode.truncation = Truncation::kKeepEnd;
  is_new("truncation");
  settings_.encode.tokenization = Tokenization::kAuthors;
  is_new("tokenization");
  settings_.encode.answers = Answers::kChosen;
  is_new("answers");
  settings_.group_separator = "/";
  is_new("group_separator");
  groups_ = {.columns = {"group"}, .constant = "east"};
  is_new("a group of the file's own");
  groups_ = {.columns = {"country", "age"}};
  is_new("columns");
  groups_ = {.columns = {"age", "country"}};
  is_new("their order");
  folder_.write("model/chat_template.jinja", "{{ messages }}");
  is_new("a template of the folder");
  folder_.write("model/chat_template.jinja", "{{ messages }}{{ strftime_now('%Y') }}");
  is_new("the day that a template shows");
  fs::create_directory(folder_ / "adapter");
  settings_.adapter = folder_ / "adapter";
  EXPECT_EQ(key(), keys.back()) << "an adapter without a template";
  folder_.write("adapter/chat_template.jinja", "{{ messages }}");
  is_new("a template of the adapter");
  folder_.write("adapter/chat_template.jinja", "{{ messages[1] }}");
  is_new("the text of the adapter's");
  settings_.chat_template = folder_.write("own.jinja", "{{ messages }}");
  is_new("a template of the job");
  folder_.write("own.jinja", "{{ messages[0] }}");
  is_new("its text");
  std::string tokenizer = read_file(folder_ / "model/tokenizer.json");
  tokenizer[tokenizer.size() / 2] ^= 1;
  folder_.write("model/tokenizer.json", tokenizer);
  is_new("tokenizer.json");
  EXPECT_NE(key(kData, {"Japan"}), keys.back());
  EXPECT_NE(key("golden/lm/data/validation.jsonl"), keys.back());
}

TEST_F(Loader, DependsOnNoFilesName) {
  fs::copy(kData, folder_ / "copy.jsonl");
  EXPECT_EQ(key(folder_ / "copy.jsonl"), key());
}

TEST_F(Loader, ReadsAFolderWhoseFilesAreAllPartOfTheKey) {
  const std::string all = read_file(kData);
  const std::size_t middle = all.find('\n', all.size() / 2) + 1;
  fs::create_directory(folder_ / "data");
  folder_.write("data/a.jsonl", all.substr(0, middle));
  folder_.write("data/b.jsonl", all.substr(middle));
  settings_.chunk.pairs = 7;
  const LoadedDataset made = load(folder_ / "data"), stored = load(folder_ / "data");
  EXPECT_TRUE(stored.from_cache);
  expect_same(made.data, load().data);
  expect_same(stored.data, made.data);
  const Digest before = key(folder_ / "data");
  EXPECT_NE(before, key());  // the same pairs, in another file
  folder_.write("data/b.jsonl", all.substr(middle) + all.substr(0, all.find('\n')));
  EXPECT_NE(key(folder_ / "data"), before);
}

TEST_F(Loader, NeedsNoTemplateForTexts) {
  folder_.write("model/chat_template.jinja", "{% if %}");
  EXPECT_NO_THROW(load());
  const fs::path chats = folder_.write(
      "chats.jsonl",
      R"({"prompt": [{"role": "user", "content": "a"}], "chosen": [{"role": "assistant", "content": "b"}],)"
      R"( "rejected": [{"role": "assistant", "content": "c"}]})");
  EXPECT_THROW(load(chats), std::invalid_argument);
  folder_.write("model/chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}");
  EXPECT_EQ(load(chats).data.pairs.size(), 1U);
}

}  // namespace dataset_loader_test
}  // namespace equipoise
