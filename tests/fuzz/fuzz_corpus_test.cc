// Every input of the fuzzers' corpus, and every one that a fuzzer found a fault with, is read without harm.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_target.h"

namespace equipoise {
namespace fuzz_corpus_test {

namespace fs = std::filesystem;

struct Reader {
  const char* name;
  FuzzTarget run;
  std::vector<std::string> accepted;  // seeds; all others are refused
};

// For the names of the tests.
void PrintTo(const Reader& reader, std::ostream* out) { *out << reader.name; }

class FuzzCorpus : public testing::TestWithParam<Reader> {};

std::vector<std::uint8_t> bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_P(FuzzCorpus, IsReadWithoutHarm) {
  std::vector<std::string> accepted;
  for (const auto& entry : fs::directory_iterator(fs::path("fuzz/corpus") / GetParam().name)) {
    const std::string name = entry.path().filename();
    SCOPED_TRACE(name);
    if (GetParam().run(bytes_of(entry.path())) && name.starts_with("seed-")) accepted.push_back(name.substr(5));
  }
  EXPECT_THAT(accepted, testing::UnorderedElementsAreArray(GetParam().accepted));
}

TEST_P(FuzzCorpus, ReadsEveryInputCutShort) {
  for (const auto& entry : fs::directory_iterator(fs::path("fuzz/corpus") / GetParam().name)) {
    SCOPED_TRACE(entry.path());
    const std::vector<std::uint8_t> bytes = bytes_of(entry.path());
    constexpr std::size_t kCuts = 16;
    for (std::size_t cut = 0; cut < kCuts; ++cut) {
      GetParam().run(std::span(bytes).first(bytes.size() * cut / kCuts));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Reader, FuzzCorpus,
    testing::Values(
        Reader{"safetensors", fuzz_safetensors, {"all-types", "empty", "scalar", "no-elements"}},
        Reader{"preferences",
               fuzz_preferences,
               {"plain", "memberships", "levels", "implicit-prompt", "messages", "whole-conversations",
                "byte-order-mark", "numbers", "numbers-of-pairs", "gzip", "zstd"}},
        Reader{"tables", fuzz_tables, {"arrow-texts",           "arrow-lists",
                                       "arrow-members",         "arrow-map",
                                       "arrow-messages",        "arrow-dictionary",
                                       "arrow-crossed",         "arrow-other-types",
                                       "parquet-texts-none",    "parquet-texts-snappy",
                                       "parquet-texts-zstd",    "parquet-texts-gzip",
                                       "parquet-messages-none", "parquet-messages-snappy",
                                       "parquet-messages-zstd", "parquet-messages-gzip",
                                       "parquet-members-none",  "parquet-members-snappy",
                                       "parquet-members-zstd",  "parquet-members-gzip",
                                       "parquet-pages-2",       "arrow-labels"}},
        Reader{"http_request", fuzz_http_request, {"get", "old", "post", "three", "other-site", "address"}},
        Reader{"job_message", fuzz_job_message, {"smallest", "unknown-field"}},
        Reader{"job_text", fuzz_job_text, {"smallest", "blocks", "log-linear"}},
        Reader{"ledger", fuzz_ledger, {"whole", "blocks", "no-steps", "skipped", "wrong-chain"}},
        Reader{"log_linear", fuzz_log_linear, {"plain", "shares"}}, Reader{"manifest", fuzz_manifest, {"whole"}},
        Reader{"page_token", fuzz_page_token, {"none", "made"}},
        Reader{"worker_messages",
               fuzz_worker_messages,
               {"whole-run", "steps-at-once", "failure", "twice", "leaves", "skipped", "extreme", "steered", "hosts"}},
        Reader{"model_config",
               fuzz_model_config,
               {"gemma", "gemma2", "gemma3_text", "llama", "mistral", "phi3", "qwen2", "qwen3"}},
        Reader{"chat_template",
               fuzz_chat_template,
               {"loop", "generation", "namespace", "macro", "tools", "variables", "date", "methods", "slices", "tests",
                "controls", "generation-tags", "long-text", "calls", "python-numbers", "python-texts", "macros",
                "filters", "objects"}}),
    [](const auto& reader) { return std::string(reader.param.name); });

}  // namespace fuzz_corpus_test
}  // namespace equipoise
