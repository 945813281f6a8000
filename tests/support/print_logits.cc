// equipoise_print_logits MODEL TEXTS.json OUT.safetensors [COPY]: token ids and logits of each text in a list, as ids_i
// [T] and logits_i [T, V], for tests that compare them with another program's. COPY is the model as a run writes it.
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "common/huggingface/safetensors.h"
#include "worker/data/encoded_dataset.h"
#include "worker/model/decoder.h"

namespace {

using namespace equipoise;

TensorView view_of(const std::string& name, const std::string& dtype, const torch::Tensor& tensor) {
  return {.name = name,
          .dtype = dtype,
          .shape = tensor.sizes().vec(),
          .bytes = std::as_bytes(std::span(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()))};
}

int run(const Decoder& decoder, const std::string& model, const std::string& texts_file, const std::string& output) {
  const torch::NoGradGuard no_grad;
  const ModelTokenizer tokenizer = load_model_tokenizer(model);
  std::ifstream file(texts_file);
  const auto texts = nlohmann::json::parse(file);
  std::vector<torch::Tensor> kept;
  std::vector<TensorView> views;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto ids = tokenizer.tokenizer.encode(texts[i].get<std::string>(), SpecialTokens::kAdd);
    EncodedPairs pair;
    pair.add({.prompt_ids = ids});
    const std::int64_t index = 0;
    const PackedBatch batch = pack_pairs(pair, std::span(&index, 1), torch::kCPU);
    kept.push_back(batch.token_T.contiguous());
    views.push_back(view_of("ids_" + std::to_string(i), "I64", kept.back()));
    kept.push_back(decoder.logits(decoder.hidden_states(batch)).contiguous());
    views.push_back(view_of("logits_" + std::to_string(i), "F32", kept.back()));
  }
  write_safetensors(output, views, {{"format", "pt"}});
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::cerr << "usage: equipoise_print_logits MODEL TEXTS.json OUT.safetensors [COPY]\n";
    return 2;
  }
  const Decoder decoder = Decoder::load(argv[1], torch::kFloat32, torch::kCPU);
  if (argc == 5) save_model(decoder, argv[1], argv[4]);
  return run(decoder, argv[1], argv[2], argv[3]);
}
