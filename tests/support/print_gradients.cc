// equipoise_print_gradients MODEL REFERENCE PAIRS.jsonl OUT.safetensors: of DPO with beta 0.1 over all pairs, for tests
// that compare them with another program's: policy_logp and reference_logp [B, 2] of chosen and rejected, loss [B], and
// gradient/NAME of the mean loss for every parameter.
#include <iostream>
#include <numeric>

#include "common/huggingface/safetensors.h"
#include "worker/data/encoded_dataset.h"
#include "worker/model/decoder.h"
#include "worker/objective/pair_loss.h"

namespace {

using namespace equipoise;

class Output {
 public:
  void add(const std::string& name, const torch::Tensor& tensor) {
    kept_.push_back(tensor.detach().to(torch::kFloat32).contiguous());
    const torch::Tensor& kept = kept_.back();
    views_.push_back(
        {.name = name,
         .dtype = "F32",
         .shape = kept.sizes().vec(),
         .bytes = std::as_bytes(std::span(static_cast<const char*>(kept.const_data_ptr()), kept.nbytes()))});
  }
  void add(const std::string& name, const PairLogProbs& log_probs) {
    add(name, torch::stack({log_probs.chosen_B, log_probs.rejected_B}, 1));
  }
  void write(const std::string& path) const { write_safetensors(path, views_, {{"format", "pt"}}); }

 private:
  std::vector<torch::Tensor> kept_;
  std::vector<TensorView> views_;
};

void print(const std::string& model, const std::string& reference_model, const std::string& file,
           const std::string& output_file) {
  constexpr int kMaxLength = 1024;
  const EncodedDataset data =
      encode_pairs(read_preference_file(file, Rejected::kRequired), load_model_tokenizer(model), kMaxLength, 1);
  std::vector<std::int64_t> all(data.size());
  std::iota(all.begin(), all.end(), 0);
  const PackedBatch batch = pack_pairs(data.pairs, all, torch::kCPU);
  const Decoder policy = Decoder::load(model, torch::kFloat32, torch::kCPU);
  const Decoder reference = Decoder::load(reference_model, torch::kFloat32, torch::kCPU).frozen_copy();
  const PairLogProbs policy_log_probs = pair_log_probs(policy, batch);
  const PairLogProbs reference_log_probs = pair_log_probs(reference, batch);
  const LossConfig dpo{.beta = 0.1};
  const PairTraits traits{.answer_tokens_B2 = batch.answer_tokens_B2, .label_noise_B = {}};
  const torch::Tensor loss_B = pair_losses(dpo, policy_log_probs, reference_log_probs, traits).loss_B;
  loss_B.mean().backward();

  Output output;
  output.add("policy_logp", policy_log_probs);
  output.add("reference_logp", reference_log_probs);
  output.add("loss", loss_B);
  for (const NamedTensor& parameter : policy.parameters())
    output.add("gradient/" + parameter.name, parameter.tensor.grad());
  output.write(output_file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: equipoise_print_gradients MODEL REFERENCE PAIRS.jsonl OUT.safetensors\n";
    return 2;
  }
  print(argv[1], argv[2], argv[3], argv[4]);
}
