// equipoise_print_tokens MODEL PAIRS.jsonl OUT.json: the token ids of a preference file as a job makes them, for tests
// that compare them with another library's.
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/dataset/preference_pair.h"
#include "worker/data/chat_templates.h"
#include "worker/data/encoded_dataset.h"

namespace equipoise {
namespace {

void print_tokens(const std::filesystem::path& model, const std::filesystem::path& pairs, const char* out) {
  const ModelTokenizer tokenizer = load_model_tokenizer(model);
  const auto templates = ChatTemplates::load(TemplateChoice({.model = model}), {}, std::chrono::system_clock::now());
  const EncodeSettings settings{.max_length = 1 << 20, .chat_templates = templates ? &*templates : nullptr};
  const EncodedDataset encoded = encode_pairs(read_preference_file(pairs, Rejected::kRequired), tokenizer, settings, 1);
  nlohmann::json json = nlohmann::json::array();
  for (const EncodedPair& pair : encoded.pairs) {
    json.push_back({{"prompt", pair.prompt_ids}, {"chosen", pair.chosen_ids}, {"rejected", pair.rejected_ids}});
  }
  std::ofstream(out) << json;
}

}  // namespace
}  // namespace equipoise

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  try {
    equipoise::print_tokens(argv[1], argv[2], argv[3]);
    return 0;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "equipoise_print_tokens: %s\n", problem.what());
    return 2;
  }
}
