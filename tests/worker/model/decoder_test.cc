#include "worker/model/decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/temp_folder.h"
#include "tests/worker/support/golden_model.h"
#include "worker/model/model_folder.h"

namespace equipoise {
namespace decoder_test {

using ::testing::HasSubstr;
using ::testing::Property;
using ::testing::Throws;

PackedBatch prompt_alone(const SafetensorsFile& file, const std::string& name) {
  const TensorView* view = file.find(name);
  std::vector<std::int64_t> ids(view->bytes.size() / sizeof(std::int64_t));
  std::memcpy(ids.data(), view->bytes.data(), view->bytes.size());
  return pack_all({{.prompt_ids = std::vector<std::int32_t>(ids.begin(), ids.end()),
                    .chosen_ids = {},
                    .rejected_ids = {},
                    .memberships = {}}});
}

torch::Tensor logits(const Decoder& decoder, const PackedBatch& batch) {
  return decoder.logits(decoder.hidden_states(batch));
}

class GoldenDecoder : public ::testing::TestWithParam<const char*> {
 protected:
  const std::string family_ = GetParam();
  const SafetensorsFile golden_ = SafetensorsFile::open(golden_file("logits.safetensors", family_));
};

// 2e-5: transformers' own eager and fused attention differ by 2e-6 on logits of order 10.
TEST_P(GoldenDecoder, GivesTheLogitsOfTransformers) {
  const Decoder policy = golden_decoder(policy_of(family_)), reference = golden_decoder(reference_of(family_));
  for (const std::string i : {"0", "1"}) {
    const PackedBatch batch = prompt_alone(golden_, "ids_" + i);
    EXPECT_LT(largest_difference(logits(policy, batch), golden_tensor(golden_, "logits_policy_" + i)[0]), 2e-5);
  }
  const PackedBatch batch = prompt_alone(golden_, "ids_0");
  EXPECT_LT(largest_difference(logits(reference, batch), golden_tensor(golden_, "logits_reference_0")[0]), 2e-5);
}

TEST_P(GoldenDecoder, GivesTheHiddenStatesOfTransformers) {
  const PackedBatch batch = prompt_alone(golden_, "ids_0");
  const Decoder policy = golden_decoder(policy_of(family_));
  const torch::Tensor expected = golden_tensor(golden_, "hidden_0_" + std::to_string(policy.config().num_layers))[0];
  EXPECT_LT(largest_difference(policy.hidden_states(batch), expected), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenDecoder, ::testing::ValuesIn(kGoldenFamilies),
                         [](const auto& family) { return std::string(family.param); });

TEST(Decoder, ComputesTheSameInFloat64) {
  const PackedBatch batch = pack_all(golden_pairs());
  const torch::Tensor narrow = golden_decoder(kPolicy).hidden_states(batch);
  const torch::Tensor wide = golden_decoder(kPolicy, torch::kFloat64).hidden_states(batch);
  EXPECT_EQ(wide.scalar_type(), torch::kFloat64);
  EXPECT_LT(largest_difference(narrow, wide), 1e-4);
}

TEST(Decoder, SharesNothingWithItsFrozenCopy) {
  const Decoder decoder = golden_decoder(kPolicy);
  const Decoder copy = decoder.frozen_copy();
  const auto before = parameter_digest(copy.parameters());
  for (std::size_t i = 0; i < copy.parameters().size(); ++i) {
    EXPECT_TRUE(decoder.parameters()[i].tensor.requires_grad());
    EXPECT_FALSE(copy.parameters()[i].tensor.requires_grad());
    decoder.parameters()[i].tensor.detach().add_(1);
  }
  EXPECT_EQ(parameter_digest(copy.parameters()), before);
  EXPECT_NE(parameter_digest(decoder.parameters()), before);
}

TEST(Decoder, RefusesTokensOutsideItsVocabulary) {
  const PackedBatch batch =
      pack_all({{.prompt_ids = {2, 1024}, .chosen_ids = {1}, .rejected_ids = {}, .memberships = {}}});
  const Decoder decoder = golden_decoder(kPolicy);
  EXPECT_THAT([&] { decoder.hidden_states(batch); },
              Throws<std::invalid_argument>(Property(
                  &std::invalid_argument::what, HasSubstr("token id 1024 is outside the model's vocabulary of 1024"))));
}

TEST(Decoder, NamesEveryProjectionAsHuggingFaceDoes) {
  Decoder decoder = golden_decoder(policy_of("llama"));
  std::vector<std::string> names;
  for (const Linear* linear : decoder.linears()) {
    names.push_back(linear->name());
    EXPECT_EQ(linear->weight_OI().size(1), linear->name().ends_with("down_proj") ? 160 : 64) << linear->name();
  }
  EXPECT_EQ(names.size(), 7u * 3);
  EXPECT_THAT(std::vector(names.begin() + 7, names.begin() + 14),
              ::testing::ElementsAre("model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.k_proj",
                                     "model.layers.1.self_attn.v_proj", "model.layers.1.self_attn.o_proj",
                                     "model.layers.1.mlp.gate_proj", "model.layers.1.mlp.up_proj",
                                     "model.layers.1.mlp.down_proj"));
}

// A copy of the golden model whose tensors a test may change before they are written.
class ModelFolder : public ::testing::Test {
 protected:
  ModelFolder() : source_(SafetensorsFile::open(std::string(kPolicy) + "/model.safetensors")) {
    folder_.write("config.json", read_file(std::string(kPolicy) + "/config.json"));
    for (const TensorView& view : source_.tensors()) {
      tensors_[view.name] = to_torch(view, torch::kFloat32, torch::kCPU);
    }
  }
  void write(const std::map<std::string, torch::Tensor>& tensors, const std::string& name = "model.safetensors") const {
    std::vector<TensorView> views;
    for (const auto& [tensor_name, tensor] : tensors) views.push_back(view_of(tensor_name, tensor));
    write_safetensors(folder_ / name, views, {{"format", "pt"}});
  }
  Decoder load() const { return Decoder::load(folder_.path(), torch::kFloat32, torch::kCPU); }
  void expect_refused(const std::string& message) const {
    EXPECT_THAT([&] { load(); },
                Throws<std::invalid_argument>(Property(&std::invalid_argument::what, HasSubstr(message))));
  }
  SafetensorsFile source_;
  TempFolder folder_;
  std::map<std::string, torch::Tensor> tensors_;
};

TEST_F(ModelFolder, TellsOfEachTensorThatIsLoaded) {
  write(tensors_);
  std::size_t tensors = 0, done = 0, all = 0;
  const auto tell = [&](std::size_t now, std::size_t of) {
    EXPECT_GT(now, done);
    done = now;
    all = of;
    ++tensors;
  };
  Decoder::load(folder_.path(), torch::kFloat32, torch::kCPU, tell);
  EXPECT_EQ(tensors, tensors_.size());
  EXPECT_EQ(done, all);
  done = tensors = 0;
  Decoder::load(folder_.path(), torch::kFloat32, torch::kCPU, Quantization::kNf4, tell);
  EXPECT_EQ(tensors, tensors_.size());
  EXPECT_EQ(done, all);
}

TEST_F(ModelFolder, IsRefusedWithoutATensor) {
  tensors_.erase("model.layers.1.mlp.up_proj.weight");
  write(tensors_);
  expect_refused("model.safetensors: tensor model.layers.1.mlp.up_proj.weight is missing");
}

TEST_F(ModelFolder, IsRefusedWithATensorOfAnotherShape) {
  tensors_["model.norm.weight"] = torch::zeros({63});
  write(tensors_);
  expect_refused("tensor model.norm.weight has shape [63], expected [64] by config.json");
}

TEST_F(ModelFolder, IsRefusedWithATensorTooMuch) {
  tensors_["model.layers.2.input_layernorm.weight"] = torch::zeros({64});
  write(tensors_);
  expect_refused("tensor \"model.layers.2.input_layernorm.weight\" has no place in the model");
}

TEST_F(ModelFolder, IsRefusedWithIntegersForWeights) {
  write(tensors_);
  std::vector<TensorView> views;
  for (const auto& [name, tensor] : tensors_) views.push_back(view_of(name, tensor));
  const std::vector<std::int32_t> integers(64);
  for (TensorView& view : views) {
    if (view.name == "model.norm.weight") view = {view.name, "I32", {64}, std::as_bytes(std::span(integers))};
  }
  write_safetensors(folder_ / "model.safetensors", views, {});
  expect_refused("tensor model.norm.weight holds I32, expected F64, F32, F16 or BF16");
}

TEST_F(ModelFolder, IsRefusedWithoutWeights) {
  expect_refused("has neither model.safetensors nor model.safetensors.index.json");
}

TEST_F(ModelFolder, MayHoldTheTiedHeadASecondTime) {
  tensors_["lm_head.weight"] = tensors_["model.embed_tokens.weight"];
  write(tensors_);
  EXPECT_EQ(load().parameters().size(), 20u);
  tensors_["lm_head.weight"] = tensors_["lm_head.weight"] + 1;
  write(tensors_);
  expect_refused("tensor \"lm_head.weight\" has no place");
}

TEST_F(ModelFolder, MayHoldTablesOfRotaryFrequencies) {
  tensors_["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch::ones({16});
  write(tensors_);
  EXPECT_EQ(load().parameters().size(), 20u);
}

TEST_F(ModelFolder, MayBeSplitIntoFilesWithAnIndex) {
  std::map<std::string, torch::Tensor> halves[2];
  nlohmann::json map;
  for (const auto& [name, tensor] : tensors_) {
    const std::size_t half = map.size() % 2;
    halves[half].emplace(name, tensor);
    map[name] = half == 0 ? "a.safetensors" : "b.safetensors";
  }
  write(halves[0], "a.safetensors");
  write(halves[1], "b.safetensors");
  folder_.write("model.safetensors.index.json", nlohmann::json{{"metadata", {}}, {"weight_map", map}}.dump());
  EXPECT_EQ(parameter_digest(load().parameters()), parameter_digest(golden_decoder(kPolicy).parameters()));
  write(tensors_, "b.safetensors");
  expect_refused("is in " + (folder_ / "a.safetensors").string() + " too");
}

TEST_F(ModelFolder, IsRefusedWhenItsIndexLeavesTheFolder) {
  folder_.write("model.safetensors.index.json", R"({"weight_map": {"x": "../model.safetensors"}})");
  expect_refused("expected the name of a file in the same folder");
  folder_.write("model.safetensors.index.json", R"({"weight_map": []})");
  expect_refused("field weight_map is missing or not an object");
}

TEST_F(ModelFolder, ConvertsHalfPrecisionOnLoading) {
  for (const torch::Dtype half : {torch::kBFloat16, torch::kFloat16}) {
    std::map<std::string, torch::Tensor> converted;
    for (const auto& [name, tensor] : tensors_) converted[name] = tensor.to(half);
    write(converted);
    const torch::Tensor loaded = load().parameters().front().tensor;
    EXPECT_EQ(loaded.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(loaded.detach().equal(converted["model.embed_tokens.weight"].to(torch::kFloat32)));
  }
}

TEST_F(ModelFolder, HasAHeadOfItsOwnAndBiasesWhereTheConfigSaysSo) {
  auto config = nlohmann::json::parse(read_file(folder_ / "config.json"));
  config["tie_word_embeddings"] = false;
  config["attention_bias"] = true;
  folder_.write("config.json", config.dump());
  tensors_["lm_head.weight"] = tensors_["model.embed_tokens.weight"] * 2;
  for (const std::string layer : {"0", "1"}) {
    for (const auto& [name, width] : std::map<std::string, std::int64_t>{{"q", 128}, {"k", 32}, {"v", 32}, {"o", 64}}) {
      tensors_["model.layers." + layer + ".self_attn." + name + "_proj.bias"] = torch::full({width}, 0.0);
    }
  }
  write(tensors_);
  const Decoder decoder = load(), tied = golden_decoder(kPolicy);
  const PackedBatch batch = pack_all(golden_pairs());
  EXPECT_EQ(decoder.parameters().size(), 29u);
  EXPECT_LT(largest_difference(logits(decoder, batch), 2 * logits(tied, batch)), 1e-4);
  tensors_["model.layers.1.self_attn.v_proj.bias"].add_(1);
  write(tensors_);
  EXPECT_GT(largest_difference(load().hidden_states(batch), tied.hidden_states(batch)), 1e-2);
}

TEST(SaveModel, WritesWhatLoadReadsBitForBit) {
  TempFolder folder;
  const std::map<torch::Dtype, std::string> names = {
      {torch::kFloat32, "float32"}, {torch::kFloat64, "float64"}, {torch::kBFloat16, "bfloat16"}};
  for (const auto& [dtype, name] : names) {
    const Decoder decoder = golden_decoder(kPolicy, dtype);
    for (const NamedTensor& parameter : decoder.parameters()) parameter.tensor.detach().add_(1.0 / 3);
    const auto target = folder / name;
    save_model(decoder, kPolicy, target);
    const Decoder again = Decoder::load(target, dtype, torch::kCPU);
    EXPECT_EQ(parameter_digest(again.parameters()), parameter_digest(decoder.parameters()));
    EXPECT_EQ(read_json(target / "config.json")["torch_dtype"], name);
    EXPECT_EQ(read_file(target / "tokenizer.json"), read_file(std::string(kPolicy) + "/tokenizer.json"));
  }
}

TEST(SaveModel, RefusesATargetThatExistsAndLeavesItAlone) {
  TempFolder folder;
  std::filesystem::create_directory(folder / "final");
  const Decoder decoder = golden_decoder(kPolicy);
  EXPECT_THAT([&] { save_model(decoder, kPolicy, folder / "final"); },
              Throws<std::invalid_argument>(Property(&std::invalid_argument::what, HasSubstr("final exists"))));
  EXPECT_TRUE(std::filesystem::is_empty(folder / "final"));
}

TEST(CopyCompanions, TakesCodeAndTermsWhateverTheyAreCalledAndNoModelCard) {
  TempFolder folder;
  for (const char* name : {"source", "target", "source/custom_generate"})
    std::filesystem::create_directory(folder / name);
  const std::vector<std::string> wanted = {"requirements.txt", "THIRD_PARTY_NOTICES.txt",
                                           "AUTHORS",          "Gemma_Terms.txt",
                                           "TERMS_OF_USE.pdf", "LICENSE-APACHE",
                                           "USE_POLICY.md",    "custom_generate/generate.py",
                                           "vocab.txt",        "COPYING",
                                           "modeling_own.py",  "custom_generate/requirements.txt"};
  const std::vector<std::string> left = {"README.md",           "model_card.md",     ".gitattributes",
                                         "adapter_config.json", "pytorch_model.bin", "custom_generate/README.md",
                                         "manifest.json"};
  for (const auto& names : {wanted, left}) {
    for (const std::string& name : names) folder.write("source/" + name, name);
  }
  copy_companions(folder / "source", folder / "target");
  for (const std::string& name : wanted) EXPECT_EQ(read_file(folder / ("target/" + name)), name);
  for (const std::string& name : left) EXPECT_FALSE(std::filesystem::exists(folder / ("target/" + name))) << name;
}

TEST(CopyAdapterTerms, KeepsThoseOfTheModel) {
  TempFolder folder;
  for (const char* name : {"adapter", "target"}) std::filesystem::create_directory(folder / name);
  for (const char* name : {"adapter/LICENSE-MIT", "adapter/NOTICE", "adapter/tokenizer.json"})
    folder.write(name, "adapter's");
  folder.write("target/NOTICE", "model's");
  copy_adapter_terms(folder / "adapter", folder / "target");
  EXPECT_EQ(read_file(folder / "target/LICENSE-MIT"), "adapter's");
  EXPECT_EQ(read_file(folder / "target/NOTICE"), "model's");
  EXPECT_EQ(read_file(folder / "target/adapter-NOTICE"), "adapter's");
  EXPECT_FALSE(std::filesystem::exists(folder / "target/tokenizer.json"));
  copy_adapter_terms(folder / "target", folder / "target");
  EXPECT_FALSE(std::filesystem::exists(folder / "target/adapter-LICENSE-MIT"));
}

// As an adapter's are put in the place of those of its model.
TEST(CopyChatTemplates, MakesFilesOfWhatTheSourceUses) {
  TempFolder folder;
  for (const char* name : {"source", "target", "target/additional_chat_templates"}) {
    std::filesystem::create_directory(folder / name);
  }
  folder.write("target/chat_template.jinja", "old");
  folder.write("target/additional_chat_templates/rag.jinja", "old");
  copy_chat_templates(folder / "source", folder / "target");
  EXPECT_EQ(read_file(folder / "target/chat_template.jinja"), "old");
  folder.write("source/tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "plain"},
      {"name": "tool_use", "template": "tools"}]})");
  copy_chat_templates(folder / "source", folder / "target");
  EXPECT_EQ(read_file(folder / "target/chat_template.jinja"), "plain");
  EXPECT_EQ(read_file(folder / "target/additional_chat_templates/tool_use.jinja"), "tools");
  EXPECT_FALSE(std::filesystem::exists(folder / "target/additional_chat_templates/rag.jinja"));
}

TEST(SaveModel, LeavesNothingBehindWhenItFails) {
  TempFolder folder;
  EXPECT_THROW(save_model(golden_decoder(kPolicy), folder / "no-source", folder / "final"), std::invalid_argument);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_THAT([&] { save_model(golden_decoder(kPolicy), kPolicy, folder / "no" / "final"); },
              Throws<std::invalid_argument>(Property(&std::invalid_argument::what, HasSubstr("cannot write"))));
}

}  // namespace decoder_test
}  // namespace equipoise
