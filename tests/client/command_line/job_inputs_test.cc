#include "client/command_line/job_inputs.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace job_inputs_test {

class HubName : public testing::Test {
 protected:
  std::string advice(const std::string& path, HubKind kind = HubKind::kModel) const {
    return hub_advice((folder_ / path).lexically_normal(), kind);
  }
  std::string in_folder(const std::string& path) const { return (folder_ / path).string(); }

  const TempFolder folder_;
};

TEST_F(HubName, IsDownloadedToThePathThatTheJobHas) {
  EXPECT_EQ(advice("Qwen/Qwen2.5-0.5B"),
            "; if Qwen/Qwen2.5-0.5B is a model of the Hub, download it first: hf download Qwen/Qwen2.5-0.5B "
            "--local-dir " +
                in_folder("Qwen/Qwen2.5-0.5B"));
  EXPECT_EQ(advice("trl-lib/ultrafeedback_binarized", HubKind::kDataset),
            "; if trl-lib/ultrafeedback_binarized is a data set of the Hub, download it first: hf download "
            "--repo-type dataset trl-lib/ultrafeedback_binarized --local-dir " +
                in_folder("trl-lib/ultrafeedback_binarized"));
}

TEST_F(HubName, WithoutAnOwnerTheOwnerIsLeftOpen) {
  EXPECT_EQ(advice("gpt2"), "; if this is a model of the Hub, download it first: hf download OWNER/gpt2 --local-dir " +
                                in_folder("gpt2"));
}

TEST_F(HubName, AddressesOfTheHubAreNames) {
  const std::string expected = "; download it, and give the folder: hf download Qwen/Qwen3-0.6B --local-dir Qwen3-0.6B";
  EXPECT_EQ(advice("https://huggingface.co/Qwen/Qwen3-0.6B"), expected);
  EXPECT_EQ(advice("https://huggingface.co/Qwen/Qwen3-0.6B/tree/main"), expected);
  EXPECT_EQ(advice("hf://Qwen/Qwen3-0.6B"), expected);
  EXPECT_EQ(advice("https://hf.co/datasets/a/b", HubKind::kDataset),
            "; download it, and give the folder: hf download --repo-type dataset a/b --local-dir b");
}

TEST_F(HubName, IsNotSeenInPathsThatCannotBeOne) {
  EXPECT_EQ(advice("runs/dpo/final"), "");
  EXPECT_EQ(advice("train.jsonl", HubKind::kDataset), "");
  EXPECT_EQ(advice("data/train.parquet", HubKind::kDataset), "");
  EXPECT_EQ(advice("a b/c"), "");
  EXPECT_EQ(advice(std::string(200, 'a') + "/b"), "");
  folder_.write("here", "");
  EXPECT_EQ(advice("here"), "");
}

}  // namespace job_inputs_test
}  // namespace equipoise
