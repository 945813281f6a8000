#include "worker/language_model/device_advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <new>

#include "equipoise/v1/job.pb.h"
#include "tests/support/temp_folder.h"
#include "tests/worker/support/golden_model.h"
#include "tests/worker/support/memory_meter.h"
#include "worker/collective/cpu_collective.h"
#include "worker/language_model/gradient_buckets.h"
#include "worker/model/log_prob.h"
#include "worker/model/torch_dtype.h"
#include "worker/optimizer/optimizer.h"

namespace equipoise {
namespace device_advice_test {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kGiga = 1'000'000'000;
// 8B parameters in bfloat16 with AdamW.
constexpr MemoryEstimate kEightBillion{
    .weights = 16 * kGiga, .gradients = 32 * kGiga, .optimizer = 96 * kGiga, .activations = 20 * kGiga};

v1::JobSpec spec() {
  v1::JobSpec spec;
  spec.set_name("job");
  spec.set_output("/out");
  spec.mutable_model()->set_path("/model");
  spec.mutable_data()->set_train("/data.jsonl");
  return spec;
}

TEST(DeviceAdvice, WarnsWithTheNumbersThatAJobWillNotFit) {
  JobConfig config;
  config.model.dtype = DType::kBFloat16;
  EXPECT_EQ(memory_warning(kEightBillion, 140 * kGiga, "cuda:0", config),
            "this job wants about 164.0 GB of memory on each rank (weights 16.0 GB, gradients 32.0 GB, optimiser 96.0 "
            "GB, activations of a micro-batch about 20.0 GB) and cuda:0 has 140.0 GB free: it will probably not fit; "
            "less is taken by training.micro_batch_tokens below 16384, training.gradient_checkpointing: true or an "
            "adapter (model.lora)");
}

TEST(DeviceAdvice, WarnsWhereItIsNearAndNotWhereThereIsRoomOrNothingIsKnown) {
  const JobConfig config;
  EXPECT_THAT(memory_warning(kEightBillion, 170 * kGiga, "cuda:0", config), HasSubstr("it may not fit"));
  EXPECT_EQ(memory_warning(kEightBillion, 190 * kGiga, "cuda:0", config), "");
  EXPECT_EQ(memory_warning(kEightBillion, 0, "cuda:0", config), "");
}

TEST(DeviceAdvice, CountsAReferenceBesideThePolicyWhereThatIsMore) {
  const MemoryEstimate estimate{.weights = 16 * kGiga, .reference = 16 * kGiga, .activations = 1 * kGiga};
  EXPECT_THAT(memory_warning(estimate, 30 * kGiga, "cpu", {}),
              HasSubstr("about 32.0 GB of memory on each rank (policy 16.0 GB and reference 16.0 GB) and cpu has"));
}

TEST(DeviceAdvice, NamesBfloat16ForSlowTypesOnAGpu) {
  EXPECT_EQ(dtype_warning(DType::kFloat32, "cuda:1"),
            "model.dtype is float32: on a GPU model.dtype: bfloat16 computes 10 to 15 times as fast");
  EXPECT_EQ(dtype_warning(DType::kBFloat16, "cuda:1"), "");
  EXPECT_EQ(dtype_warning(DType::kFloat32, "cpu"), "");
}

// The text of LibTorch 2.11's allocator.
TEST(DeviceAdvice, TurnsAFullGpuIntoTheSettingsThatDecideOnIt) {
  const c10::OutOfMemoryError failure(
      {"f", "f.cc", 1},
      "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 139.81 GiB of which 1.10 GiB is "
      "free. Including non-PyTorch memory, this process has 138.70 GiB memory in use.");
  v1::JobSpec job = spec();
  job.mutable_model()->set_dtype(v1::D_TYPE_BFLOAT16);
  job.mutable_training()->set_gradient_checkpointing(true);
  EXPECT_STREQ(out_of_memory(failure, make_job_config(job))->what(),
               "the GPU's memory is used up (2.00 GiB more were wanted and 1.10 GiB were free): "
               "training.micro_batch_tokens is 16384, training.gradient_checkpointing true, model.dtype bfloat16; less "
               "is taken by training.micro_batch_tokens below 16384 or an adapter (model.lora)");
  EXPECT_THAT(out_of_memory_of_evaluation(failure)->what(), HasSubstr("--micro-batch-tokens"));
}

TEST(DeviceAdvice, TurnsFullHostMemoryIntoTheSameSettings) {
  try {
    torch::empty({std::int64_t{1} << 56}, torch::kUInt8);
    FAIL() << "64 PiB were there";
  } catch (const std::exception& failure) {
    EXPECT_THAT(out_of_memory(failure, make_job_config(spec()))->what(),
                AllOf(HasSubstr("this machine's memory is used up (72057594.0 GB more were wanted): "
                                "training.micro_batch_tokens is 16384, training.gradient_checkpointing false, "
                                "model.dtype float32; less is taken by"),
                      Not(HasSubstr("\n"))));
  }
  EXPECT_TRUE(out_of_memory(std::bad_alloc(), make_job_config(spec())));
}

TEST(DeviceAdvice, LeavesOtherFailuresAlone) {
  EXPECT_FALSE(out_of_memory(std::runtime_error("the disk is full"), make_job_config(spec())));
  EXPECT_FALSE(out_of_memory_of_evaluation(std::runtime_error("the disk is full")));
}

// The estimate against the bytes that a model, its gradients and its optimiser really hold.
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

// A model that is wide enough for its activations to be those of the formula and not those of a few odd tensors.
std::int64_t measured_activations(const JobConfig& config, std::int64_t prompt, std::int64_t answer) {
  Decoder policy = loaded(config);
  if (config.training.gradient_checkpointing) policy.recompute_layers();
  for (const NamedTensor& trained : policy.trained()) {
    torch::Tensor(trained.tensor).mutable_grad() = torch::zeros_like(trained.tensor);
  }
  std::vector<OwnedPair> pairs;
  for (std::int32_t i = 0; i < 2; ++i) {
    pairs.push_back({.prompt_ids = std::vector<std::int32_t>(static_cast<std::size_t>(prompt), 3 + i),
                     .chosen_ids = std::vector<std::int32_t>(static_cast<std::size_t>(answer), 5),
                     .rejected_ids = std::vector<std::int32_t>(static_cast<std::size_t>(answer), 6)});
  }
  const PackedBatch batch = pack_all(pairs);
  const auto meter = std::make_shared<MemoryMeter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
  pair_log_probs(policy, batch).chosen_B.sum().backward();
  return meter->peak();
}

TEST(MemoryEstimate, OfActivationsIsWithinAThirdOfWhatAPassTakes) {
  const TempFolder folder;
  folder.write("config.json", nlohmann::json{{"model_type", "llama"},
                                             {"vocab_size", 64},
                                             {"hidden_size", 256},
                                             {"intermediate_size", 768},
                                             {"num_hidden_layers", 6},
                                             {"num_attention_heads", 8},
                                             {"num_key_value_heads", 4},
                                             {"head_dim", 32},
                                             {"rms_norm_eps", 1e-6},
                                             {"tie_word_embeddings", false}}
                                  .dump());
  std::vector<torch::Tensor> tensors;
  std::vector<TensorView> views;
  for (const auto& [name, shape] : parameter_layout(read_decoder_config(folder / "config.json"))) {
    tensors.push_back(torch::full(shape, 0.01));
    views.push_back(view_of(name, tensors.back()));
  }
  write_safetensors(folder / "model.safetensors", views, {{"format", "pt"}});
  for (const bool recomputes : {false, true}) {
    for (const bool has_adapter : {false, true}) {
      for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
        JobConfig config;
        config.model.path = folder.path();
        config.model.dtype = dtype;
        if (has_adapter) config.model.lora = LoraSettings{.r = 4};
        config.training.gradient_checkpointing = recomputes;
        config.training.micro_batch_tokens = 2 * (384 + 2 * 128);
        config.data.max_length = 512;
        const double ratio = static_cast<double>(estimate_memory(config, 1).activations) /
                             static_cast<double>(measured_activations(config, 384, 128));
        EXPECT_GT(ratio, 0.67) << recomputes << has_adapter << static_cast<int>(dtype);
        EXPECT_LT(ratio, 1.5) << recomputes << has_adapter << static_cast<int>(dtype);
      }
    }
  }
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

}  // namespace device_advice_test
}  // namespace equipoise
