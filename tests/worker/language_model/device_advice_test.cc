#include "worker/language_model/device_advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <new>

#include "equipoise/v1/job.pb.h"

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

}  // namespace device_advice_test
}  // namespace equipoise
