// The estimate against the bytes that a model, its gradients and its optimiser really hold.
#include "worker/train/memory_estimate.h"

#include <gtest/gtest.h>

#include "tests/worker/golden_model.h"
#include "worker/collective/thread_collective.h"
#include "worker/model/torch_dtype.h"
#include "worker/train/gradient_buckets.h"
#include "worker/train/optimizer.h"

namespace equipoise {
namespace memory_estimate_test {

std::int64_t bytes_of(const std::vector<NamedTensor>& tensors) {
  std::int64_t bytes = 0;
  for (const NamedTensor& named : tensors) bytes += static_cast<std::int64_t>(named.tensor.nbytes());
  return bytes;
}

JobConfig job_of(const std::string& family) {
  JobConfig config;
  config.model.path = policy_of(family);
  return config;
}

Decoder loaded(const JobConfig& config) {
  const torch::Dtype dtype = torch_dtype(config.model.dtype);
  Decoder policy = Decoder::load(config.model.path, dtype, torch::kCPU, config.model.quantization);
  if (config.model.lora) policy.attach(new_adapter(policy.config(), *config.model.lora, 1, dtype, torch::kCPU));
  return policy;
}

void expect_exact(const JobConfig& config) {
  const Decoder policy = loaded(config);
  const MemoryEstimate estimate = estimate_memory(config, 1);
  const std::int64_t adapter = config.model.lora ? bytes_of(policy.trained()) : 0;
  EXPECT_EQ(estimate.weights, bytes_of(policy.parameters()) + adapter);
  std::int64_t gradients = 0;
  run_ranks(1, [&](Collective& collective) {
    const GradientBuckets buckets(policy.trained(), collective, 1 << 20);
    for (const NamedTensor& trained : policy.trained()) {
      gradients += static_cast<std::int64_t>(trained.tensor.grad().nbytes());
    }
  });
  EXPECT_EQ(estimate.gradients, gradients);
  EXPECT_EQ(estimate.optimizer, bytes_of(Optimizer(config.optimizer, policy.trained()).state().tensors));
}

TEST(MemoryEstimate, IsExactForWeightsGradientsAndEveryOptimiser) {
  for (const std::string family : kGoldenFamilies) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kBFloat16}) {
      for (const OptimizerType type :
           {OptimizerType::kAdamW, OptimizerType::kSgd, OptimizerType::kRmsProp, OptimizerType::kMuon}) {
        JobConfig config = job_of(family);
        config.model.dtype = dtype;
        config.optimizer.type = type;
        expect_exact(config);
        config.optimizer.momentum = 0.9;
        expect_exact(config);
      }
    }
  }
}

TEST(MemoryEstimate, IsExactForAdaptersAndFourBits) {
  for (const bool dora : {false, true}) {
    for (const Quantization quantization : {Quantization::kNone, Quantization::kNf4}) {
      JobConfig config = job_of("llama");
      config.model.dtype = DType::kBFloat16;
      config.model.lora = LoraSettings{.r = 4, .target_modules = {"q_proj", "down_proj"}, .dora = dora};
      config.model.quantization = quantization;
      expect_exact(config);
    }
  }
}

// 18 bytes a parameter, and 4 for the number of steps of each tensor.
TEST(MemoryEstimate, IsEighteenBytesAParameterOfAdamWInBfloat16) {
  JobConfig config = job_of("gemma");
  config.model.dtype = DType::kBFloat16;
  const Decoder policy = loaded(config);
  const MemoryEstimate estimate = estimate_memory(config, 1);
  std::int64_t parameters = 0;
  for (const NamedTensor& parameter : policy.parameters()) parameters += parameter.tensor.numel();
  EXPECT_EQ(estimate.weights + estimate.gradients + estimate.optimizer,
            18 * parameters + 4 * static_cast<std::int64_t>(policy.parameters().size()));
}

TEST(MemoryEstimate, HasAReferenceOfItsOwnBeforeTrainingAlone) {
  JobConfig config = job_of("gemma");
  EXPECT_EQ(estimate_memory(config, 1).reference, 0);
  config.model.reference = reference_of("gemma");
  const MemoryEstimate estimate = estimate_memory(config, 1);
  EXPECT_EQ(estimate.reference, estimate.weights);
  EXPECT_EQ(estimate.peak(), std::max(2 * estimate.weights, estimate.training()));
}

TEST(MemoryEstimate, CountsNoMoreTokensThanABatchOfTheRankCanHave) {
  JobConfig config = job_of("gemma");
  config.data.max_length = 16;
  config.training.global_batch_size = 8;
  config.training.micro_batch_tokens = 64;
  const std::int64_t small = estimate_memory(config, 1).activations;
  config.training.micro_batch_tokens = 1 << 20;
  // 8 pairs of twice 16 tokens; each estimate is rounded down to whole bytes.
  EXPECT_NEAR(static_cast<double>(estimate_memory(config, 1).activations), 4 * static_cast<double>(small), 4);
  EXPECT_NEAR(static_cast<double>(estimate_memory(config, 2).activations), 2 * static_cast<double>(small), 2);
}

}  // namespace memory_estimate_test
}  // namespace equipoise
