#include "worker/reference/reference_cache.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <limits>
#include <set>

#include "common/huggingface/safetensors.h"
#include "tests/support/temp_folder.h"
#include "tests/worker/support/owned_pair.h"

namespace equipoise {
namespace reference_cache_test {

const LogProbArithmetic kArithmetic{.dtype = "Float", .device = "cpu", .token_budget = 4096};

std::vector<OwnedPair> two_pairs() {
  return {{.prompt_ids = {2, 5, 6}, .chosen_ids = {7, 1}, .rejected_ids = {8, 1}, .memberships = {{0, 1.0}}},
          {.prompt_ids = {2}, .chosen_ids = {9}, .rejected_ids = {}, .memberships = {{1, 1.0}}}};
}

AnswerLogProbs values_of(std::size_t count, double first) {
  AnswerLogProbs values;
  for (std::size_t i = 0; i < count; ++i) {
    values.chosen_N.push_back(first - static_cast<double>(i) / 3);
    values.rejected_N.push_back(first - static_cast<double>(i) / 7);
  }
  return values;
}

void replace_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

TEST(ReferenceKey, IsAnotherForAllThatChangesTheNumbers) {
  const Digest model{};
  Digest other_model{};
  other_model[31] = std::byte{1};
  std::set<Digest> keys;
  const auto add = [&](const Digest& key) { EXPECT_TRUE(keys.insert(key).second); };
  add(reference_key(model, encoded(two_pairs()), kArithmetic));
  add(reference_key(other_model, encoded(two_pairs()), kArithmetic));
  add(reference_key(model, encoded(two_pairs()), {.dtype = "Double", .device = "cpu", .token_budget = 4096}));
  add(reference_key(model, encoded(two_pairs()), {.dtype = "Float", .device = "cuda", .token_budget = 4096}));
  add(reference_key(model, encoded(two_pairs()), {.dtype = "Float", .device = "cpu", .token_budget = 4095}));
  auto changed = two_pairs();
  changed[1].chosen_ids = {10};
  add(reference_key(model, encoded(changed), kArithmetic));
  auto moved = two_pairs();  // the same ids, cut elsewhere
  moved[0].prompt_ids = {2, 5};
  moved[0].chosen_ids = {6, 7, 1};
  add(reference_key(model, encoded(moved), kArithmetic));
  auto reordered = two_pairs();
  std::swap(reordered[0], reordered[1]);
  add(reference_key(model, encoded(reordered), kArithmetic));
}

// Entries that users have on disk are found by it. Of Python's hashlib, over the bytes that reference_cache.h names.
TEST(ReferenceKey, StaysWhatItWas) {
  EXPECT_EQ(hex_text(reference_key({}, encoded(two_pairs()), kArithmetic)),
            "6affc001d2e9f2bedbfff67184796fcbaf94965a09e126f24cd973da56af7c78");
}

TEST(ReferenceKey, IsTheSameForOtherGroups) {
  auto regrouped = two_pairs();
  regrouped[0].memberships = {{3, 0.5}, {4, 0.5}};
  EXPECT_EQ(reference_key({}, encoded(regrouped), kArithmetic), reference_key({}, encoded(two_pairs()), kArithmetic));
}

TEST(ModelDigest, IsOfConfigurationAndWeightsWhereverTheyLie) {
  const std::filesystem::path golden = "golden/lm/models/gemma/policy";
  const TempFolder temp;
  for (const char* file : {"config.json", "model.safetensors"}) std::filesystem::copy(golden / file, temp / file);
  const Digest before = model_digest(temp.path());
  int tensors = 0;
  EXPECT_EQ(before, model_digest(golden, {}, [&] { ++tensors; }));
  EXPECT_EQ(tensors, static_cast<int>(SafetensorsFile::open(temp / "model.safetensors").tensors().size()));
  EXPECT_NE(before, model_digest("golden/lm/models/gemma/reference"));

  // The same tensors under an index.
  std::filesystem::rename(temp / "model.safetensors", temp / "part.safetensors");
  std::string map;
  const SafetensorsFile part = SafetensorsFile::open(temp / "part.safetensors");
  for (const TensorView& tensor : part.tensors()) {
    map += (map.empty() ? "" : ", ") + ("\"" + tensor.name + "\": \"part.safetensors\"");
  }
  temp.write("model.safetensors.index.json", "{\"weight_map\": {" + map + "}}");
  EXPECT_EQ(model_digest(temp.path()), before);

  std::string weights = read_file(temp / "part.safetensors");
  weights.back() = static_cast<char>(weights.back() ^ 1);
  replace_file(temp / "part.safetensors", weights);
  EXPECT_NE(model_digest(temp.path()), before);
}

// Part of the keys of entries that users have on disk. Of Python's hashlib, json and struct.
TEST(ModelDigest, StaysWhatItWas) {
  EXPECT_EQ(hex_text(model_digest("golden/lm/models/gemma/policy")),
            "9e0b4cb0a50c8a2c06bb8d9d8c8bb1f3d71c4d396de0031a6b1362456a27df01");
}

TEST(ReferenceCache, ReadsBackTheSameBits) {
  const TempFolder temp;
  const ReferenceCacheEntry entry(temp / "not" / "yet" / "there", Digest{});
  EXPECT_FALSE(entry.read(5).values.has_value());
  EXPECT_EQ(entry.read(5).fault, "");
  const AnswerLogProbs values = values_of(5, -0.1);
  ASSERT_EQ(entry.write(values), "");
  const auto found = entry.read(5);
  ASSERT_TRUE(found.values.has_value()) << found.fault;
  EXPECT_EQ(found.values->chosen_N, values.chosen_N);
  EXPECT_EQ(found.values->rejected_N, values.rejected_N);
}

TEST(ReferenceCache, EveryChangedByteIsAFault) {
  const TempFolder temp;
  const ReferenceCacheEntry entry(temp.path(), Digest{});
  ASSERT_EQ(entry.write(values_of(3, -20)), "");
  const std::string whole = read_file(entry.path());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    replace_file(entry.path(), damaged);
    EXPECT_FALSE(entry.read(3).values.has_value()) << "byte " << i;
    EXPECT_NE(entry.read(3).fault, "") << "byte " << i;
  }
  // It is replaced by the next writer.
  ASSERT_EQ(entry.write(values_of(3, -20)), "");
  EXPECT_EQ(read_file(entry.path()), whole);
}

TEST(ReferenceCache, AFileThatIsNotWholeOrNotOneIsAFault) {
  const TempFolder temp;
  const ReferenceCacheEntry entry(temp.path(), Digest{});
  ASSERT_EQ(entry.write(values_of(3, -20)), "");
  const std::string whole = read_file(entry.path());
  EXPECT_EQ(entry.read(4).fault, "is not whole");
  for (const std::string& content : {std::string(), whole.substr(0, whole.size() - 1), whole + "x"}) {
    replace_file(entry.path(), content);
    EXPECT_EQ(entry.read(3).fault, "is not whole");
  }
  std::filesystem::remove(entry.path());
  std::filesystem::create_directory(entry.path());
  EXPECT_EQ(entry.read(3).fault, "is not a file");
  EXPECT_NE(entry.write(values_of(3, -20)), "");
}

TEST(ReferenceCache, AnEntryOfAnotherKeyIsAFault) {
  const TempFolder temp;
  Digest other{};
  other[0] = std::byte{1};
  const ReferenceCacheEntry first(temp.path(), Digest{}), second(temp.path(), other);
  ASSERT_EQ(first.write(values_of(3, -20)), "");
  std::filesystem::copy(first.path(), second.path());
  EXPECT_EQ(second.read(3).fault, "holds something else");
}

TEST(ReferenceCache, NumbersThatAreNotFiniteAreAFault) {
  const TempFolder temp;
  const ReferenceCacheEntry entry(temp.path(), Digest{});
  AnswerLogProbs values = values_of(3, -20);
  values.rejected_N[1] = -std::numeric_limits<double>::infinity();
  ASSERT_EQ(entry.write(values), "");
  EXPECT_EQ(entry.read(3).fault, "holds numbers that are not finite");
}

TEST(ReferenceCache, AFolderThatCannotBeMadeIsSaidAndNothingElse) {
  const TempFolder temp;
  const ReferenceCacheEntry entry(temp.write("file", "not a folder"), Digest{});
  EXPECT_NE(entry.write(values_of(3, -20)).find("file"), std::string::npos);
}

// Two processes write the same entry again and again while this one reads: it sees nothing or all of it.
TEST(ReferenceCache, ReadersAndWritersOfManyProcessesDoNotDisturbEachOther) {
  const TempFolder temp;
  const ReferenceCacheEntry entry(temp.path(), Digest{});
  const AnswerLogProbs values = values_of(2000, -20);
  constexpr int kWrites = 40;
  std::vector<pid_t> writers;
  for (int w = 0; w < 2; ++w) {
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      bool good = true;
      for (int i = 0; i < kWrites; ++i) good = entry.write(values).empty() && good;
      _exit(good ? 0 : 1);
    }
    writers.push_back(pid);
  }
  int seen = 0;
  while (waitpid(writers[0], nullptr, WNOHANG) == 0) {
    const auto found = entry.read(2000);
    EXPECT_EQ(found.fault, "");
    if (!found.values) continue;
    ++seen;
    EXPECT_EQ(found.values->chosen_N, values.chosen_N);
  }
  int status = 1;
  waitpid(writers[1], &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_GT(seen, 0);
  // Nothing is left beside it.
  const std::filesystem::directory_iterator files(entry.path().parent_path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

}  // namespace reference_cache_test
}  // namespace equipoise
