// A decoder language model read from a Hugging Face folder.
#pragma once

#include <torch/types.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "worker/data/packed_batch.h"
#include "worker/model/decoder_config.h"
#include "worker/model/decoder_layer.h"
#include "worker/model/lora_adapter.h"
#include "worker/model/tensor_bytes.h"

namespace equipoise {

enum class Quantization;  // common/config/job_config.h

class Decoder {
 public:
  // Reads config.json and *.safetensors. Parameters are leaves that require grad.
  // Throws std::invalid_argument naming the file and the field or tensor: an unsupported model_type (with the list of
  // supported ones), a configuration that changes the mathematics and is not known, a tensor missing, superfluous
  // or of another shape.
  //   on_progress  called after each tensor with the bytes that are read and those of all; may throw
  using LoadProgress = std::function<void(std::size_t done, std::size_t all)>;
  static Decoder load(const std::filesystem::path& folder, torch::Dtype dtype, torch::Device device,
                      const LoadProgress& on_progress = {});

  // With nf4 the weights of the layers' projections are kept at four bits a number (nf4.h), made from what the files
  // have: nothing but an adapter can be trained. Throws as load, and for a weight that is not finite.
  static Decoder load(const std::filesystem::path& folder, torch::Dtype dtype, torch::Device device,
                      Quantization quantization, const LoadProgress& on_progress = {});

  // The projections that the adapter names compute with it from now on. Its tensors are trained, and nothing else:
  // the model's own parameters do not require grad any more. Magnitudes that are not there yet (new_adapter) start as
  // the norms of what they multiply. Once.
  void attach(LoraAdapter adapter);
  const std::optional<LoraAdapter>& adapter() const { return adapter_; }

  // An independent copy, adapter included, whose parameters do not require grad: the reference policy.
  Decoder frozen_copy() const;

  // From now on a forward pass with gradients keeps only the input of each layer, and the backward pass computes the
  // layer again: the same gradients for less memory and a third more time.
  void recompute_layers() { recomputes_layers_ = true; }

  const DecoderConfig& config() const { return config_; }
  // Each tensor of the model once (a tied head is the embedding), in the order of the forward pass, without an adapter.
  // Of a weight at four bits NAME.nf4_code and NAME.nf4_scale.
  const std::vector<NamedTensor>& parameters() const { return parameters_; }
  // What training changes: the adapter's tensors where there is one, else the parameters.
  const std::vector<NamedTensor>& trained() const { return adapter_ ? adapter_->tensors : parameters_; }

  // Hidden states after the final norm: [T, H]. Differentiable with respect to what is trained.
  // This decoder must live until the gradients have been taken.
  // Throws std::invalid_argument for a token outside the vocabulary.
  torch::Tensor hidden_states(const PackedBatch& batch) const;
  // Weight of the head: [V, H].
  const torch::Tensor& head_weight() const { return head_weight_; }
  // hidden [T, H] through the head and, where the family has one, the soft-cap: [T, V], in float32 for narrower types.
  torch::Tensor logits(const torch::Tensor& hidden_TH) const;

  // Every projection of every layer, in the order of the forward pass: what adapters are attached to, by name.
  // The pointers are valid as long as this decoder is neither moved nor assigned to.
  std::vector<Linear*> linears();

 private:
  Decoder(DecoderConfig config, std::vector<NamedTensor> parameters);
  DecoderConfig config_;
  std::vector<NamedTensor> parameters_;
  // The same tensors by their place in the forward pass.
  torch::Tensor embedding_;
  std::vector<DecoderLayer> layers_;
  torch::Tensor final_norm_;
  torch::Tensor head_weight_;
  std::optional<LoraAdapter> adapter_;
  bool recomputes_layers_ = false;
};

// Writes a folder that Hugging Face programs load: config.json (with the parameters' type), tokenizer and generation
// files as in `source`, and the parameters, without an adapter, as model.safetensors. The folder appears whole or not
// at all: it is written aside, on disk, then renamed. Throws std::invalid_argument if `target` exists or its parent
// does not take it, std::runtime_error if the disk refuses. `on_bytes` is called after each piece of the parameters.
void save_model(const Decoder& decoder, const std::filesystem::path& source, const std::filesystem::path& target,
                const std::function<void(std::int64_t)>& on_bytes = {});

// Of that folder what is beside the parameters, into `folder`, which is there.
void write_model_files(const Decoder& decoder, const std::filesystem::path& source,
                       const std::filesystem::path& folder);

// SHA-256 over the bytes of all parameters, in order.
std::array<std::byte, 32> parameter_digest(const std::vector<NamedTensor>& parameters);

}  // namespace equipoise
