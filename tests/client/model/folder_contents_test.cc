#include "client/model/folder_contents.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace folder_contents_test {

class FolderContents : public ::testing::Test {
 protected:
  std::filesystem::path at(const std::string& name) const { return temp_.path() / name; }
  std::string of_model(const std::string& name, const std::string& field = "--model") const {
    return fault_of_model_folder(field, at(name));
  }
  std::string of_adapter(const std::string& name) const { return fault_of_adapter_folder("--adapter", at(name)); }

  const TempFolder temp_;
};

// --adapter would change the policy, which is compared with the reference.
TEST_F(FolderContents, AnAdapterIsNoReferenceAndIsToBeMerged) {
  temp_.write("adapter/adapter_config.json", R"({"base_model_name_or_path": "base"})");
  EXPECT_EQ(
      of_model("adapter"),
      " is a LoRA adapter, not a model: give it as --adapter, and the model that it belongs to (base) as --model");
  for (const std::string field : {"--reference", "model.reference"}) {
    EXPECT_EQ(of_model("adapter", field),
              " is a LoRA adapter, and a reference is a model: merge it into the model that it belongs to (base) with "
              "equipoise export --merge, and give the merged folder as " +
                  field);
  }
}

TEST_F(FolderContents, ARunIsNamedByItsFinal) {
  temp_.write("whole/final/config.json", "{}");
  temp_.write("lora/final/adapter_config.json", "{}");
  for (const std::string run : {"whole", "lora"}) {
    EXPECT_EQ(of_model(run), " is a run's output: name its final/");
    EXPECT_EQ(of_model(run, "model.reference"), " is a run's output: name its final/");
    EXPECT_EQ(of_adapter(run), " is a run's output: name its final/");
  }
}

TEST_F(FolderContents, ARunThatHasNotEndedIsNamedByItsNewestCheckpoint) {
  temp_.write("run/checkpoints/step-60/config.json", "{}");
  temp_.write("run/checkpoints/step-120/config.json", "{}");
  temp_.write("run/checkpoints/step-180.abandoned/config.json", "{}");
  temp_.write("lora/checkpoints/step-5/adapter_config.json", "{}");
  EXPECT_EQ(of_model("run"),
            " is the output of a run without a final/: name one of its checkpoints, the newest is "
            "checkpoints/step-120");
  EXPECT_EQ(of_adapter("lora"),
            " is the output of a run without a final/: name one of its checkpoints, the newest is checkpoints/step-5");
  temp_.write("run/final/config.json", "{}");
  EXPECT_EQ(of_model("run"), " is a run's output: name its final/");
}

// Its optimiser's tensors are no weights, in one file or in several.
TEST_F(FolderContents, ACheckpointIsAModelOfItsOwnFiles) {
  const std::string no_tensors("\2\0\0\0\0\0\0\0{}", 10);
  for (const char* file : {"config.json", "tokenizer.json", "manifest.json"}) {
    temp_.write(std::string("step-5/") + file, "{}");
  }
  for (const char* file :
       {"optimizer-00001-of-00002.safetensors", "optimizer-00002-of-00002.safetensors", "best.safetensors"}) {
    temp_.write(std::string("step-5/") + file, no_tensors);
  }
  EXPECT_EQ(of_model("step-5"), "");
  EXPECT_FALSE(has_weights(at("step-5")));
  temp_.write("step-5/model.safetensors", no_tensors);
  EXPECT_EQ(of_model("step-5"), "");
  EXPECT_TRUE(has_weights(at("step-5")));
  temp_.write("bandit/manifest.json", "{}");
  temp_.write("bandit/theta.safetensors", no_tensors);
  EXPECT_EQ(of_model("bandit"), " is a checkpoint of a log-linear policy, not a model");
  EXPECT_EQ(of_adapter("bandit"), " is a checkpoint of a log-linear policy, not a model");
}

TEST_F(FolderContents, SettingsThatWereCutShortAreToBeDownloadedAgain) {
  for (const std::string file : {"config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}) {
    const std::string whole = temp_.write(file + "/" + file, R"({"a": [1, 2]})").parent_path().filename().string();
    EXPECT_EQ(of_model(whole), "");
    temp_.write(file + "/" + file, R"({"a": [1, )");
    EXPECT_EQ(of_model(whole), "/" + file + " is cut short or no JSON: download it again");
    std::filesystem::remove(at(file) / file);
    std::filesystem::create_directory(at(file) / file);
    EXPECT_EQ(of_model(whole), "/" + file + " is a folder, expected a file");
    std::filesystem::remove(at(file) / file);
    ASSERT_EQ(::mkfifo((at(file) / file).c_str(), 0600), 0);
    EXPECT_EQ(of_model(whole), "/" + file + " is a FIFO, expected a file");
  }
}

TEST_F(FolderContents, ATokenizerOfAnotherFormIsToBeConverted) {
  const auto expected = [&](const std::string& folder, const std::string& other) {
    const std::string name = "'" + at(folder).string() + "'";
    return " has no tokenizer.json, but " + other +
           ", of which transformers makes one: python -c \"from transformers " +
           "import AutoTokenizer; AutoTokenizer.from_pretrained(" + name + ").save_pretrained(" + name + ")\"";
  };
  temp_.write("llama/tokenizer.model", "x");
  EXPECT_EQ(of_model("llama"), expected("llama", "tokenizer.model"));
  temp_.write("qwen/vocab.json", "{}");
  EXPECT_EQ(of_model("qwen"), "");
  temp_.write("qwen/merges.txt", "a b");
  EXPECT_EQ(of_model("qwen"), expected("qwen", "vocab.json and merges.txt"));
  temp_.write("qwen/tokenizer.json", "{}");
  EXPECT_EQ(of_model("qwen"), "");
}

TEST_F(FolderContents, ADownloadThatHasNotEndedIsNamed) {
  for (const std::string file : {"model.safetensors.incomplete", "adapter_model.safetensors.part"}) {
    temp_.write(file + "/" + file, "x");
    const std::string expected = " has " + file + " in place of the weights: the download is not complete";
    EXPECT_EQ(of_model(file), expected);
    EXPECT_EQ(of_adapter(file), expected);
  }
}

}  // namespace folder_contents_test
}  // namespace equipoise
