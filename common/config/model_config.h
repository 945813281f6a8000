// Section `model` of a job: its settings, their defaults, ranges and checks.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace equipoise {

namespace v1 {
class JobSpec;
class LoraSpec;
class ModelSpec;
}  // namespace v1
struct JobConfig;

enum class DType { kFloat32, kFloat64, kBFloat16 };
enum class Quantization { kNone, kNf4 };

// How A [r, I] starts: uniform in +-1/sqrt(I), or normal with deviation 1/r. B starts at 0.
enum class LoraInit { kKaimingUniform, kGaussian };

// A LoRA adapter, as a job or an adapter_config.json describes it.
// Source: Hu et al. 2021 (arXiv:2106.09685); rank-stabilised scaling: Kalajdzievski 2023 (arXiv:2312.03732).
struct LoraSettings {
  std::int64_t r = 8;
  double alpha = 8;
  bool rank_stabilized = false;
  // Names of modules or their ends after a dot; both empty: every projection of every layer.
  std::vector<std::string> target_modules = {};
  std::string target_pattern = {};  // a regular expression of whole names
  LoraInit init = LoraInit::kKaimingUniform;
  double dropout = 0;  // share of A's inputs that a training step leaves out
  bool dora = false;   // Liu et al. 2024 (arXiv:2402.09353)

  // Factor of B A x.
  double scaling() const {
    return alpha / (rank_stabilized ? std::sqrt(static_cast<double>(r)) : static_cast<double>(r));
  }
};

struct ModelConfig {
  std::filesystem::path path;
  std::optional<std::filesystem::path> reference;
  DType dtype = DType::kFloat32;
  std::optional<LoraSettings> lora;              // a new adapter
  std::optional<std::filesystem::path> adapter;  // one to go on with; not both
  double adapter_dropout = 0;                    // of `adapter`, in place of what its file says
  Quantization quantization = Quantization::kNone;
  std::optional<std::filesystem::path> chat_template;
  bool reference_cache = true;
};

// Throws std::invalid_argument as make_job_config.
ModelConfig model_config(const v1::ModelSpec& spec);
LoraSettings lora_settings(const v1::LoraSpec& spec);

// Back to the message, every default filled in; for language models.
void resolve_model(const JobConfig& config, v1::ModelSpec& spec);

// Of a job file in `folder`.
void make_paths_absolute(const std::filesystem::path& folder, v1::ModelSpec& spec);

}  // namespace equipoise
