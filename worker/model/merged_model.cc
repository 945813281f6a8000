#include "worker/model/merged_model.h"

#include <cstdio>
#include <random>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/durable_file.h"
#include "worker/model/decoder.h"
#include "worker/model/model_folder.h"
#include "worker/model/tensor_bytes.h"
#include "worker/model/weight_files.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kProbeTokens = 64;

torch::Tensor probe_logits(const Decoder& decoder) {
  const torch::NoGradGuard no_grad;
  std::mt19937_64 random(0);
  std::vector<std::int32_t> ids;
  for (std::int64_t t = 0; t < kProbeTokens; ++t) {
    const auto vocab = static_cast<std::uint64_t>(decoder.config().vocab_size);
    ids.push_back(static_cast<std::int32_t>(random() % vocab));
  }
  EncodedPairs probe;
  probe.add({.prompt_ids = ids});
  const std::int64_t index = 0;
  const PackedBatch batch = pack_pairs(probe, std::span(&index, 1), torch::kCPU);
  return decoder.logits(decoder.hidden_states(batch)).to(torch::kFloat64);
}

double share_that_rounding_explains(torch::Dtype dtype) {
  if (dtype == torch::kFloat64) return 1e-9;
  if (dtype == torch::kFloat32) return 1e-4;
  return dtype == torch::kFloat16 ? 1e-2 : 0.1;
}

using OnPart = std::function<void(const std::string&, std::int64_t)>;

class Merge {
 public:
  Merge(const fs::path& model, const fs::path& adapter, OnPart on_part)
      : on_part_(std::move(on_part)),
        model_(model),
        adapter_folder_(adapter),
        config_(read_decoder_config(model / "config.json")),
        files_(WeightFiles::open(model)),
        views_(files_.select(parameter_layout(config_))),
        adapter_(load_adapter(adapter, config_, wide(), torch::kCPU)) {
    for (std::size_t i = 0; i < adapter_.adapted.size(); ++i) place_of_[adapter_.adapted[i].name + ".weight"] = i;
  }

  void write(const fs::path& folder) {
    copy_durably(model_ / "config.json", folder / "config.json");
    copy_companions(model_, folder);
    copy_chat_templates(adapter_folder_, folder);  // the adapter was trained with them
    copy_adapter_terms(adapter_folder_, folder);
    std::vector<torch::Tensor> merged;
    std::vector<TensorView> views;
    std::int64_t total = 0, written = 0;
    for (const TensorView& view : views_) {
      const auto place = place_of_.find(view.name);
      if (place == place_of_.end()) {
        views.push_back(view);
      } else {
        merged.push_back(merged_tensor(view, place->second));
        views.push_back(view_of(view.name, merged.back()));
        tell("merging", std::ssize(merged), std::ssize(adapter_.adapted));
      }
      total += std::ssize(views.back().bytes);
    }
    write_safetensors(folder / "model.safetensors", views, {{"format", "pt"}}, [&](std::int64_t bytes) {
      written += bytes;
      tell("writing", written, total);
    });
  }

  MergeReport compare_with(const fs::path& folder) {
    const char* const comparing = "comparing with model and adapter";
    tell(comparing, 0, 2);
    const torch::Tensor merged = probe_logits(Decoder::load(folder, wide(), torch::kCPU));
    tell(comparing, 1, 2);
    Decoder with_adapter = Decoder::load(model_, wide(), torch::kCPU);
    with_adapter.attach(adapter_);
    const torch::Tensor wanted = probe_logits(with_adapter);
    const double largest = wanted.abs().max().item<double>();
    MergeReport report{.projections = adapter_.adapted.size(),
                       .dtype = dtype_,
                       .probe_tokens = kProbeTokens,
                       .largest_logit = largest,
                       .largest_difference = (merged - wanted).abs().max().item<double>(),
                       .allowed_difference = share_ * largest};
    return report;
  }

 private:
  void tell(const char* part, std::int64_t done, std::int64_t total) const {
    if (on_part_) on_part_(part, total > 0 ? 100 * done / total : 0);
  }

  torch::Dtype wide() const {
    for (const TensorView& view : views_) {
      if (view.dtype == "F64") return torch::kFloat64;
    }
    return torch::kFloat32;
  }

  torch::Tensor merged_tensor(const TensorView& view, std::size_t place) {
    const torch::NoGradGuard no_grad;
    const torch::Dtype dtype = torch_dtype_of(view);
    if (share_that_rounding_explains(dtype) >= share_) {
      share_ = share_that_rounding_explains(dtype);
      dtype_ = view.dtype;
    }
    const ProjectionTensors tensors = adapter_.of(place);
    const double scaling = adapter_.settings.scaling();
    torch::Tensor merged_OI = to_torch(view, wide(), torch::kCPU) + torch::mm(tensors.b_OR, tensors.a_RI) * scaling;
    if (tensors.magnitude_O.defined()) merged_OI *= (tensors.magnitude_O / merged_OI.norm(2, 1)).unsqueeze(1);
    return merged_OI.to(dtype);
  }

  OnPart on_part_;
  fs::path model_, adapter_folder_;
  DecoderConfig config_;
  WeightFiles files_;
  std::vector<TensorView> views_;
  LoraAdapter adapter_;
  std::unordered_map<std::string, std::size_t> place_of_;  // in adapter_.adapted, by the weight's name
  // Of the narrowest type among the merged tensors.
  double share_ = 0;
  std::string dtype_;
};

}  // namespace

MergeReport merge_adapter(const fs::path& model, const fs::path& adapter, const fs::path& target,
                          const OnPart& on_part) {
  DurableFolder aside(target);
  Merge merge(model, adapter, on_part);
  merge.write(aside.path());
  const MergeReport report = merge.compare_with(aside.path());
  if (!(report.largest_difference <= report.allowed_difference)) {
    throw std::invalid_argument("the merged model is not the model with its adapter: " + merge_text(report));
  }
  aside.commit();
  return report;
}

std::string merge_text(const MergeReport& report) {
  const auto short_text = [](double value) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.3g", value);
    return std::string(text);
  };
  return std::to_string(report.projections) + " projections merged, kept as " + report.dtype + "; on " +
         std::to_string(report.probe_tokens) + " random tokens the logits differ by " +
         short_text(report.largest_difference) + " at most, allowed are " + short_text(report.allowed_difference) +
         ", the largest logit is " + short_text(report.largest_logit);
}

}  // namespace equipoise
