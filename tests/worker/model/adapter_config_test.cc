// What an adapter's adapter_config.json says, and what is refused of it.
#include "worker/model/adapter_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"
#include "tests/worker/support/golden_model.h"

namespace equipoise {
namespace adapter_config_test {

using testing::HasSubstr;

// The golden adapter's configuration with one field changed.
class AdapterConfig : public testing::Test {
 protected:
  AdapterConfig() : config_(read_json(lora_init_of("gemma") + "/adapter_config.json")) {}
  std::string refused() {
    const auto file = folder_ / "adapter_config.json";
    std::ofstream(file) << config_;
    return refusal_of([&] { read_adapter_config(file); });
  }
  TempFolder folder_;
  nlohmann::json config_;
};

TEST_F(AdapterConfig, OfPeftIsRead) {
  const LoraSettings settings = read_adapter_config(lora_init_of("gemma") + "/adapter_config.json");
  EXPECT_EQ(settings.r, 4);
  EXPECT_EQ(settings.scaling(), 2);
  EXPECT_EQ(settings.target_modules.size(), 7u);
  config_["lora_dropout"] = 0.1;
  config_["target_modules"] = "all-linear";
  config_["modules_to_save"] = {"lm_head", "model.embed_tokens"};
  EXPECT_EQ(refused(), "accepted");
}

TEST_F(AdapterConfig, RefusesByNameWhatItDoesNotDo) {
  const std::vector<std::pair<std::string, nlohmann::json>> changes = {{"lora_dropout", 1.0},
                                                                       {"modules_to_save", {"lm_head", "norm"}},
                                                                       {"layers_to_transform", {0}},
                                                                       {"rank_pattern", {{"q_proj", 8}}},
                                                                       {"alpha_pattern", {{"q_proj", 8}}},
                                                                       {"bias", "lora_only"},
                                                                       {"fan_in_fan_out", true},
                                                                       {"peft_type", "IA3"},
                                                                       {"task_type", "SEQ_CLS"},
                                                                       {"r", 0},
                                                                       {"lora_alpha", -1},
                                                                       {"lora_alpha", "8"},
                                                                       {"target_modules", nullptr},
                                                                       {"target_modules", nlohmann::json::array()},
                                                                       {"init_lora_weights", "pissa"},
                                                                       {"exclude_modules", {"q_proj"}},
                                                                       {"trainable_token_indices", {1}},
                                                                       {"target_parameters", {"weight"}},
                                                                       {"layer_replication", {{0, 1}}},
                                                                       {"lora_bias", true},
                                                                       {"use_new_idea", true}};
  const nlohmann::json golden = config_;
  for (const auto& [name, value] : changes) {
    config_ = golden;
    config_[name] = value;
    EXPECT_THAT(refused(), HasSubstr("adapter_config.json: field " + name + " ")) << value;
  }
}

TEST_F(AdapterConfig, SaysHowAVariantBecomesAModel) {
  const nlohmann::json golden = config_;
  const std::vector<std::pair<std::string, nlohmann::json>> changes = {{"trainable_token_indices", {1}},
                                                                       {"rank_pattern", {{"q_proj", 8}}},
                                                                       {"alpha_pattern", {{"q_proj", 8}}},
                                                                       {"bias", "all"},
                                                                       {"layers_to_transform", 1}};
  for (const auto& [name, value] : changes) {
    config_ = golden;
    config_[name] = value;
    EXPECT_THAT(refused(), HasSubstr("; or merge the adapter with PEFT (merge_and_unload) and give the merged model"))
        << name;
  }
}

}  // namespace adapter_config_test
}  // namespace equipoise
