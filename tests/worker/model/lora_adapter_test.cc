// What an adapter computes, how a new one starts, and what merging it gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "tests/support/refusal.h"
#include "tests/support/temp_folder.h"
#include "tests/worker/support/golden_model.h"
#include "worker/model/adapter_config.h"
#include "worker/model/log_prob.h"
#include "worker/model/merged_model.h"

namespace equipoise {
namespace lora_adapter_test {

using testing::HasSubstr;

Decoder with_adapter(const std::string& folder, torch::Dtype dtype = torch::kFloat64,
                     const std::string& model = kPolicy) {
  Decoder decoder = golden_decoder(model, dtype);
  decoder.attach(load_adapter(folder, decoder.config(), dtype, torch::kCPU));
  return decoder;
}

Decoder with_new_adapter(const LoraSettings& settings, std::uint64_t seed = 0) {
  Decoder decoder = golden_decoder(kPolicy, torch::kFloat64);
  decoder.attach(new_adapter(decoder.config(), settings, seed, torch::kFloat64, torch::kCPU));
  return decoder;
}

torch::Tensor logits(const Decoder& decoder, const std::string& family = "gemma") {
  const torch::NoGradGuard no_grad;
  return decoder.logits(decoder.hidden_states(pack_all(golden_pairs(family))));
}

std::string refusal(const std::function<void()>& action) {
  return refusal_of([&] { action(); });
}

TEST(Lora, ANewAdapterIsTheModelItselfAndOnlyTheAdapterLearns) {
  const Decoder base = golden_decoder(kPolicy, torch::kFloat64), adapted = with_new_adapter({});
  EXPECT_TRUE(logits(adapted).equal(logits(base)));
  ASSERT_EQ(adapted.trained().size(), 2u * 14u);  // 7 projections in each of 2 layers
  pair_log_probs(adapted, pack_all(golden_pairs())).chosen_B.sum().backward();
  for (const NamedTensor& parameter : adapted.parameters()) {
    EXPECT_FALSE(parameter.tensor.requires_grad()) << parameter.name;
    EXPECT_FALSE(parameter.tensor.grad().defined()) << parameter.name;
  }
  // dB = (dy) (A x)^T is not 0, dA = B^T (...) is.
  for (std::size_t i = 0; i < adapted.trained().size(); ++i) {
    const double largest = adapted.trained()[i].tensor.grad().abs().max().item<double>();
    EXPECT_EQ(largest > 0, i % 2 == 1) << adapted.trained()[i].name;
  }
}

TEST(Lora, AStartsAsPeftsAndTheSameOnEveryRank) {
  const LoraSettings settings{.r = 64};
  const Decoder one = with_new_adapter(settings, 5), two = with_new_adapter(settings, 5);
  EXPECT_EQ(parameter_digest(one.trained()), parameter_digest(two.trained()));
  EXPECT_NE(parameter_digest(one.trained()), parameter_digest(with_new_adapter(settings, 6).trained()));
  // Uniform in +-1/sqrt(64): r * 64 values come near to the bounds and have a third of their square as variance.
  const torch::Tensor a_RI = one.trained()[0].tensor.detach();
  EXPECT_EQ(a_RI.size(1), 64);
  EXPECT_LE(a_RI.abs().max().item<double>(), 1.0 / 8);
  EXPECT_GT(a_RI.abs().max().item<double>(), 0.99 / 8);
  EXPECT_NEAR(a_RI.var().item<double>(), 1.0 / 64 / 3, 0.05 / 64 / 3);
  const Decoder gaussian = with_new_adapter({.r = 64, .init = LoraInit::kGaussian});
  EXPECT_NEAR(gaussian.trained()[0].tensor.std().item<double>(), 1.0 / 64, 0.05 / 64);
}

TEST(Lora, EveryProjectionAddsScaledBA) {
  // Through weights alone: W + scaling B A in place of W.
  for (const bool stabilized : {false, true}) {
    LoraAdapter adapter =
        load_adapter(lora_init_of("gemma"), golden_decoder(kPolicy).config(), torch::kFloat64, torch::kCPU);
    adapter.settings.rank_stabilized = stabilized;
    Decoder adapted = golden_decoder(kPolicy, torch::kFloat64), summed = golden_decoder(kPolicy, torch::kFloat64);
    adapted.attach(adapter);
    const double scaling = stabilized ? 8 / std::sqrt(4.0) : 8 / 4.0;
    for (const Linear* linear : summed.linears()) {
      for (std::size_t i = 0; i < adapter.adapted.size(); ++i) {
        if (adapter.adapted[i].name != linear->name()) continue;
        const torch::NoGradGuard no_grad;
        torch::Tensor(linear->weight_OI())
            .add_(scaling * torch::mm(adapter.tensors[2 * i + 1].tensor, adapter.tensors[2 * i].tensor));
      }
    }
    EXPECT_GT(largest_difference(logits(adapted), logits(golden_decoder(kPolicy, torch::kFloat64))), 1e-3);
    EXPECT_LT(largest_difference(logits(adapted), logits(summed)), 1e-10);
  }
}

TEST(Lora, RecomputedLayersGiveTheSameGradients) {
  const auto gradients = [](bool recomputes) {
    Decoder decoder = with_adapter(lora_init_of("gemma"));
    if (recomputes) decoder.recompute_layers();
    pair_log_probs(decoder, pack_all(golden_pairs())).chosen_B.sum().backward();
    std::vector<torch::Tensor> result;
    for (const NamedTensor& tensor : decoder.trained()) result.push_back(tensor.tensor.grad());
    return result;
  };
  const auto kept = gradients(false), again = gradients(true);
  for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(kept[i].equal(again[i])) << i;
}

TEST(Lora, AFrozenCopyStaysWhatTheAdapterWas) {
  const Decoder decoder = with_adapter(lora_init_of("gemma"));
  const Decoder copy = decoder.frozen_copy();
  const torch::Tensor before = logits(decoder);
  for (const NamedTensor& tensor : decoder.trained()) tensor.tensor.detach().add_(0.1);
  EXPECT_TRUE(logits(copy).equal(before));
  EXPECT_GT(largest_difference(logits(decoder), before), 1e-3);
  for (const NamedTensor& tensor : copy.trained()) EXPECT_FALSE(tensor.tensor.requires_grad());
}

TEST(Lora, TargetsAreNamesEndsOfNamesOrAPattern) {
  const auto adapted = [](const LoraSettings& settings) {
    const Decoder decoder = with_new_adapter(settings);
    std::vector<std::string> names;
    for (const LinearShape& linear : decoder.adapter()->adapted) names.push_back(linear.name);
    return names;
  };
  const std::string q0 = "model.layers.0.self_attn.q_proj", v0 = "model.layers.0.self_attn.v_proj";
  const std::string q1 = "model.layers.1.self_attn.q_proj";
  EXPECT_THAT(adapted({.target_modules = {"q_proj"}}), testing::ElementsAre(q0, q1));
  EXPECT_THAT(adapted({.target_modules = {q1}}), testing::ElementsAre(q1));
  EXPECT_THAT(adapted({.target_pattern = ".*\\.0\\.self_attn\\.[qv]_proj"}), testing::ElementsAre(q0, v0));
  const auto refused = [](const LoraSettings& settings) { return refusal([&] { with_new_adapter(settings); }); };
  EXPECT_THAT(refused({.target_modules = {"q_proj", "query"}}),
              HasSubstr("model.lora.target_modules has \"query\", expected what projections of the model's layers are "
                        "called: down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj"));
  EXPECT_THAT(refused({.target_modules = {"lm_head"}}), HasSubstr("lm_head"));
  EXPECT_THAT(refused({.target_modules = {"proj"}}), HasSubstr("\"proj\""));  // not the end after a dot
  EXPECT_THAT(refused({.target_pattern = "q_proj"}), HasSubstr("model.lora.target_pattern"));  // not the whole name
  EXPECT_THAT(refused({.target_pattern = "(q_proj"}), HasSubstr("no regular expression: "));
}

TEST(SaveAdapter, WritesWhatLoadReadsBitForBit) {
  const TempFolder folder;
  for (const torch::Dtype dtype : {torch::kFloat32, torch::kFloat64, torch::kBFloat16}) {
    const auto target = folder / c10::toString(dtype);
    LoraSettings settings{.r = 3, .alpha = 5.5, .rank_stabilized = true, .target_pattern = ".*self_attn.*"};
    Decoder decoder = golden_decoder(kPolicy, dtype);
    decoder.attach(new_adapter(decoder.config(), settings, 1, dtype, torch::kCPU));
    save_adapter(*decoder.adapter(), kPolicy, target);
    const Decoder again = with_adapter(target, dtype);
    EXPECT_EQ(parameter_digest(again.trained()), parameter_digest(decoder.trained()));
    EXPECT_EQ(again.adapter()->settings.scaling(), 5.5 / std::sqrt(3.0));
    const nlohmann::json config = read_json(target / "adapter_config.json");
    EXPECT_EQ(config["base_model_name_or_path"], kPolicy);
    ASSERT_EQ(config["target_modules"].size(), 8u);  // whole names of what the pattern matched
    EXPECT_EQ(config["target_modules"][4], "model.layers.1.self_attn.q_proj");
    EXPECT_TRUE(std::filesystem::exists(target / "tokenizer.json"));
  }
}

// As a model of one type has its embedding saved beside an adapter of another.
TEST(LoadAdapter, TakesACopyOfTheEmbeddingInAnotherType) {
  const TempFolder folder;
  const std::string name = "base_model.model.model.embed_tokens.weight";
  Decoder plain = golden_decoder(kPolicy, torch::kFloat32);
  const torch::Tensor embedding = plain.parameters().front().tensor.detach().clone();
  ASSERT_EQ(plain.parameters().front().name, "model.embed_tokens.weight");
  const auto load = [&](const torch::Tensor& saved, torch::Dtype dtype) {
    LoraAdapter adapter = load_adapter(lora_init_of("gemma"), plain.config(), torch::kFloat32, torch::kCPU);
    adapter.tensors.push_back({name, saved});
    std::filesystem::remove_all(folder / "adapter");
    save_adapter(adapter, kPolicy, folder / "adapter");
    return refusal([&] { with_adapter((folder / "adapter").string(), dtype); });
  };
  for (const torch::Dtype model : {torch::kFloat32, torch::kBFloat16}) {
    for (const torch::Dtype saved : {torch::kFloat32, torch::kBFloat16}) {
      EXPECT_EQ(load(embedding.to(saved), model), "accepted") << model << " " << saved;
      EXPECT_THAT(load((embedding + 1).to(saved), model), HasSubstr("that is not the model's"))
          << model << " " << saved;
    }
  }
}

TEST(LoadAdapter, RefusesTensorsOfAnotherModelOrConfiguration) {
  const TempFolder folder;
  const auto load = [&](const std::string& model) {
    return refusal([&] { with_adapter(folder.path(), torch::kFloat32, model); });
  };
  std::filesystem::copy(lora_init_of("gemma"), folder.path(), std::filesystem::copy_options::recursive);
  EXPECT_EQ(load(kPolicy), "accepted");
  EXPECT_THAT(load(policy_of("llama")), HasSubstr("adapter_model.safetensors: tensor base_model.model.model.layers."));
  nlohmann::json config = read_json(folder / "adapter_config.json");
  config["r"] = 5;
  std::ofstream(folder / "adapter_config.json") << config;
  EXPECT_THAT(load(kPolicy), HasSubstr("lora_A.weight has shape [4, 64], expected [5, 64]"));
  config["r"] = 4;
  config["target_modules"] = nlohmann::json::array({"q_proj"});
  std::ofstream(folder / "adapter_config.json") << config;
  EXPECT_THAT(load(kPolicy), HasSubstr("has no place in the adapter"));
  std::filesystem::remove(folder / "adapter_model.safetensors");
  EXPECT_THAT(load(kPolicy), HasSubstr("adapter_model.safetensors"));
}

TEST(LoadAdapter, RefusesANumberThatIsNotFinite) {
  const TempFolder folder;
  const DecoderConfig config = golden_decoder(kPolicy).config();
  for (const double number : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    LoraAdapter adapter = load_adapter(lora_init_of("gemma"), config, torch::kFloat32, torch::kCPU);
    adapter.tensors[3].tensor.detach().view(-1)[5] = number;
    const auto target = folder / std::to_string(number);
    save_adapter(adapter, kPolicy, target);
    EXPECT_THAT(
        refusal([&] { load_adapter(target, config, torch::kFloat32, torch::kCPU); }),
        HasSubstr("adapter_model.safetensors: tensor " + adapter.tensors[3].name + " has a number that is not finite"));
  }
}

TEST(MergeAdapter, GivesAModelOfTheSameFilesTypesAndLogits) {
  const TempFolder folder;
  for (const char* family : {"gemma", "llama"}) {
    const auto target = folder / family;
    const MergeReport report = merge_adapter(policy_of(family), lora_init_of(family), target);
    EXPECT_EQ(report.dtype, "F32");
    EXPECT_LE(report.largest_difference, report.allowed_difference);
    const torch::Tensor wanted = logits(with_adapter(lora_init_of(family), torch::kFloat32, policy_of(family)), family);
    EXPECT_LT(largest_difference(logits(golden_decoder(target), family), wanted),
              1e-4 * wanted.abs().max().item<double>());
    EXPECT_EQ(read_file(target / "config.json"), read_file(policy_of(family) + "/config.json"));
    EXPECT_EQ(read_file(target / "tokenizer.json"), read_file(policy_of(family) + "/tokenizer.json"));
  }
}

TEST(MergeAdapter, KeepsTheTypeOfTheModel) {
  const TempFolder folder;
  for (const auto& [dtype, name] : {std::pair{torch::kBFloat16, "BF16"}, std::pair{torch::kFloat64, "F64"}}) {
    const auto model = folder / (std::string("model-") + name), target = folder / name;
    save_model(golden_decoder(kPolicy, dtype), kPolicy, model);
    const MergeReport report = merge_adapter(model, lora_init_of("gemma"), target);
    EXPECT_EQ(report.dtype, name);
    const SafetensorsFile file = SafetensorsFile::open(target / "model.safetensors");
    for (const TensorView& tensor : file.tensors()) EXPECT_EQ(tensor.dtype, name) << tensor.name;
  }
}

TEST(MergeAdapter, LeavesNothingWhereTheResultWouldNotBeTheModelWithItsAdapter) {
  const TempFolder folder;
  // An adapter beyond the numbers of the type: B A overflows float16.
  const auto model = folder / "model";
  save_model(golden_decoder(kPolicy, torch::kFloat16), kPolicy, model);
  LoraAdapter adapter =
      load_adapter(lora_init_of("gemma"), golden_decoder(kPolicy).config(), torch::kFloat32, torch::kCPU);
  for (const NamedTensor& tensor : adapter.tensors) tensor.tensor.detach().mul_(1e4);
  save_adapter(adapter, kPolicy, folder / "adapter");
  EXPECT_THAT(refusal([&] { merge_adapter(model, folder / "adapter", folder / "merged"); }),
              HasSubstr("the merged model is not the model with its adapter"));
  std::filesystem::create_directory(folder / "there");
  EXPECT_THAT(refusal([&] { merge_adapter(model, lora_init_of("gemma"), folder / "there"); }), HasSubstr("exists"));
  EXPECT_TRUE(std::filesystem::is_empty(folder / "there"));
  std::size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++entries;
  EXPECT_EQ(entries, 3u);  // model, adapter, there
}

}  // namespace lora_adapter_test
}  // namespace equipoise
