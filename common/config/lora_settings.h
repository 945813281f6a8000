// A LoRA adapter, as a job or an adapter_config.json describes it. Defaults stand here.
// Source: Hu et al. 2021 (arXiv:2106.09685); rank-stabilised scaling: Kalajdzievski 2023 (arXiv:2312.03732).
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace equipoise {

// How A [r, I] starts: uniform in +-1/sqrt(I), or normal with deviation 1/r. B starts at 0.
enum class LoraInit { kKaimingUniform, kGaussian };

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

}  // namespace equipoise
