#include "worker/model/decoder_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/temp_folder.h"
#include "tests/worker/support/family_configs.h"

namespace equipoise {
namespace decoder_config_test {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Property;
using ::testing::Throws;

class ConfigFile : public ::testing::Test {
 protected:
  DecoderConfig read(const nlohmann::json& config) const {
    return read_decoder_config(folder_.write("config.json", config.dump()));
  }
  void expect_refused(const nlohmann::json& config, const std::string& message) const {
    EXPECT_THAT([&] { read(config); },
                Throws<std::invalid_argument>(
                    Property(&std::invalid_argument::what, AllOf(HasSubstr("config.json: "), HasSubstr(message)))));
  }
  static nlohmann::json gemma(const nlohmann::json& changes = nlohmann::json::object()) {
    nlohmann::json config = nlohmann::json::parse(read_file("golden/lm/models/gemma/policy/config.json"));
    config.update(changes);
    return config;
  }
  TempFolder folder_;
};

TEST_F(ConfigFile, MeansTheSameInBothKeyLayouts) {
  const DecoderConfig four = read_decoder_config("golden/lm/models/gemma/policy/config.json");
  const DecoderConfig five = read_decoder_config("golden/lm/models/gemma/reference/config.json");
  for (const DecoderConfig& config : {four, five}) {
    EXPECT_EQ(config.vocab_size, 1024);
    EXPECT_EQ(config.hidden_size, 64);
    EXPECT_EQ(config.intermediate_size, 128);
    EXPECT_EQ(config.num_layers, 2);
    EXPECT_EQ(config.num_heads, 4);
    EXPECT_EQ(config.num_kv_heads, 1);
    EXPECT_EQ(config.head_dim, 32);
    EXPECT_EQ(config.rms_norm_eps, 1e-6);
    EXPECT_EQ(config.kinds.at(0).rotary.theta, 10000);
    EXPECT_EQ(config.embedding_scale, 8);
    EXPECT_TRUE(config.tied_head);
    EXPECT_FALSE(config.qkv_bias);
  }
}

TEST_F(ConfigFile, TakesTheThetaOfEitherLayout) {
  EXPECT_EQ(read(gemma({{"rope_theta", 500}})).kinds.at(0).rotary.theta, 500);
  nlohmann::json five = gemma({{"rope_parameters", {{"rope_theta", 700}, {"rope_type", "default"}}}});
  five.erase("rope_theta");
  EXPECT_EQ(read(five).kinds.at(0).rotary.theta, 700);
}

// A wave of dimension j turns original / (2 pi theta^(2j/dim)) times: once where j = 2.7, so that from 3 on all are
// stretched by the factor, and from 0 on (none turns 32 times) more and more of it.
TEST_F(ConfigFile, YarnStretchesTheWavesThatTurnOnceOrLess) {
  const nlohmann::json rope = {
      {"rope_type", "yarn"}, {"rope_theta", 1000}, {"factor", 4}, {"original_max_position_embeddings", 64}};
  nlohmann::json config = gemma({{"rope_parameters", rope}, {"head_dim", 16}});
  config.erase("rope_theta");
  const RotaryTable table = read(config).kinds.at(0).rotary;
  const std::vector<double> expected = {1, 1 / (2.0 / 3 + 1.0 / 12), 2, 4, 4, 4, 4, 4};
  ASSERT_EQ(table.divisor_F.size(), expected.size());
  for (std::size_t j = 0; j < expected.size(); ++j) EXPECT_NEAR(table.divisor_F[j], expected[j], 1e-12) << j;
  EXPECT_NEAR(table.magnitude, 0.1 * std::log(4) + 1, 1e-12);
  EXPECT_EQ(table.longest_sequence, 0);  // angles do not depend on the batch
  config["rope_parameters"]["beta_slow"] = -1;
  expect_refused(config, "field rope_parameters.beta_slow is");
}

TEST_F(ConfigFile, RefusesAnotherModelTypeWithTheSupportedOnes) {
  expect_refused(gemma({{"model_type", "mamba"}}),
                 R"(field model_type is "mamba", expected one of: gemma, gemma2, gemma3_text, )"
                 "llama, mistral, phi3, qwen2, qwen3");
  expect_refused(gemma({{"model_type", nullptr}}), "expected one of: gemma");
}

TEST_F(ConfigFile, RefusesByNameWhatItDoesNotKnow) {
  expect_refused(gemma({{"final_logit_softcapping", 30.0}}), "field final_logit_softcapping is \"30.0\"");
  expect_refused(gemma({{"quantization_config", {{"bits", 4}}}}), "field quantization_config is ");
  expect_refused(gemma({{"use_bidirectional_attention", true}}), "field use_bidirectional_attention is \"true\"");
  expect_refused(gemma({{"rope_scaling", {{"rope_type", "new"}, {"factor", 2}}}}),
                 "field rope_scaling.rope_type is \"new\", expected one of: default, linear, dynamic, llama3, yarn");
  expect_refused(gemma({{"rope_parameters", {{"rope_theta", 1e4}, {"factor", 2}}}}), "field rope_parameters.factor is");
  expect_refused(gemma({{"hidden_activation", "silu"}}), "field hidden_activation is");
}

TEST_F(ConfigFile, IgnoresUnknownFieldsThatAreNull) { read(gemma({{"sliding_window", nullptr}})); }

TEST_F(ConfigFile, RefusesSizesThatAreMissingOrOutOfRange) {
  nlohmann::json config = gemma();
  config.erase("head_dim");
  expect_refused(config, "field head_dim is absent");
  expect_refused(gemma({{"hidden_size", 0}}), "field hidden_size is \"0\"");
  expect_refused(gemma({{"hidden_size", -64}}), "field hidden_size is \"-64\"");
  expect_refused(gemma({{"hidden_size", "64"}}), "field hidden_size is ");
  expect_refused(gemma({{"vocab_size", std::uint64_t{1} << 40}}), "field vocab_size is \"1099511627776\"");
  expect_refused(gemma({{"num_hidden_layers", 2000000000}}), "field num_hidden_layers is \"2000000000\"");
  expect_refused(gemma({{"num_key_value_heads", 3}}), "field num_key_value_heads is \"3\", expected a divisor");
  expect_refused(gemma({{"head_dim", 31}}), "field head_dim is \"31\", expected an even number");
  expect_refused(gemma({{"rms_norm_eps", -1e-6}}), "field rms_norm_eps is");
  expect_refused(gemma({{"rope_theta", 0}}), "field rope_theta is \"0\"");
}

TEST_F(ConfigFile, RefusesWhatIsNotAnObject) {
  expect_refused(nlohmann::json::array({1}), "holds \"[1]\", expected an object");
  EXPECT_THAT([&] { read_decoder_config(folder_ / "nothing.json"); },
              Throws<std::invalid_argument>(
                  Property(&std::invalid_argument::what, HasSubstr("nothing.json: there is no such file"))));
}

// What each family's config.json means, in the key layouts of transformers 4 and 5.

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Property;
using ::testing::Throws;

DecoderConfig read(const json& config) {
  const TempFolder folder;
  return read_decoder_config(folder.write("config.json", config.dump()));
}

void expect_refused(const json& config, const std::string& message) {
  EXPECT_THAT([&] { read(config); },
              Throws<std::invalid_argument>(Property(&std::invalid_argument::what, HasSubstr(message))))
      << config;
}

std::vector<std::int64_t> windows(const DecoderConfig& config) {
  std::vector<std::int64_t> result;
  for (const std::size_t kind : config.kind_of_layer) result.push_back(config.kinds[kind].window);
  return result;
}

TEST(FamilyConfig, IsReadForEveryFamily) {
  for (const FamilyConfig& family : family_configs()) {
    const DecoderConfig config = read(family.config);
    EXPECT_EQ(config.model_type, family.config["model_type"].get<std::string>()) << family.name;
    EXPECT_EQ(config.head_dim, 16) << family.name;
    EXPECT_EQ(config.kind_of_layer.size(), 3u) << family.name;
  }
}

TEST(FamilyConfig, RefusesAnUnknownFieldForEveryFamily) {
  for (FamilyConfig family : family_configs()) {
    family.config["residual_multiplier"] = 0.5;
    expect_refused(family.config, "field residual_multiplier is \"0.5\", expected no such field");
  }
}

TEST(FamilyConfig, LetsGemma2AlternateAndCap) {
  json four = tiny_config("gemma2", {{"sliding_window", 7}, {"query_pre_attn_scalar", 64}});
  const DecoderConfig config = read(four);
  EXPECT_THAT(windows(config), ElementsAre(7, 0, 7));
  EXPECT_EQ(config.attention_softcap, 50);
  EXPECT_EQ(config.logit_softcap, 30);
  EXPECT_EQ(config.attention_scale, 0.125);
  EXPECT_EQ(config.norm_placement, NormPlacement::kInputAndResult);
  four.update({{"attn_logit_softcapping", nullptr},
               {"final_logit_softcapping", nullptr},
               {"layer_types", {"full_attention", "full_attention", "sliding_attention"}}});
  EXPECT_THAT(windows(read(four)), ElementsAre(0, 0, 7));
  EXPECT_EQ(read(four).attention_softcap, std::nullopt);
  EXPECT_EQ(read(four).logit_softcap, std::nullopt);
}

TEST(FamilyConfig, GivesGemma3AThetaForEachKindOfLayerInBothLayouts) {
  const json four = tiny_config("gemma3_text", {{"num_hidden_layers", 4},
                                                {"sliding_window", 9},
                                                {"sliding_window_pattern", 2},
                                                {"rope_theta", 5e5},
                                                {"rope_local_base_freq", 2e4},
                                                {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8}}}});
  const json five = tiny_config(
      "gemma3_text", {{"num_hidden_layers", 4},
                      {"sliding_window", 9},
                      {"layer_types", {"sliding_attention", "full_attention", "sliding_attention", "full_attention"}},
                      {"rope_parameters",
                       {{"full_attention", {{"rope_type", "linear"}, {"factor", 8}, {"rope_theta", 5e5}}},
                        {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 2e4}}}}}});
  for (const DecoderConfig& config : {read(four), read(five)}) {
    EXPECT_THAT(windows(config), ElementsAre(9, 0, 9, 0));
    const RotaryTable &sliding = config.kinds[0].rotary, &full = config.kinds[1].rotary;
    EXPECT_EQ(sliding.theta, 2e4);
    EXPECT_EQ(sliding.divisor, 1);
    EXPECT_EQ(full.theta, 5e5);
    EXPECT_EQ(full.divisor, 8);
    EXPECT_TRUE(config.query_key_norm);
  }
}

TEST(FamilyConfig, TellsAnAbsentWindowFromNone) {
  json config = tiny_config("mistral");
  EXPECT_THAT(windows(read(config)), ElementsAre(4096, 4096, 4096));
  config["sliding_window"] = nullptr;
  EXPECT_THAT(windows(read(config)), ElementsAre(0, 0, 0));
}

TEST(FamilyConfig, LetsQwenSlideFromALayerOnIfItSaysSo) {
  json config = tiny_config("qwen2", {{"sliding_window", 8}, {"max_window_layers", 2}, {"use_sliding_window", true}});
  EXPECT_THAT(windows(read(config)), ElementsAre(0, 0, 8));
  config["max_window_layers"] = 0;
  EXPECT_THAT(windows(read(config)), ElementsAre(8, 8, 8));
  config["use_sliding_window"] = false;
  EXPECT_THAT(windows(read(config)), ElementsAre(0, 0, 0));
  config["layer_types"] = {"sliding_attention", "full_attention", "full_attention"};
  expect_refused(config, "field sliding_window is \"8\", expected a whole number of 1 or more: some layers slide");
}

TEST(FamilyConfig, BiasesQueriesKeysAndValuesOfQwen2Alone) {
  const DecoderConfig config = read(tiny_config("qwen2", {{"use_mrope", false}}));
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_FALSE(config.output_bias);
  EXPECT_FALSE(config.query_key_norm);
}

TEST(FamilyConfig, DerivesWhatOlderLlamasLeaveOut) {
  json config = tiny_config("llama");
  config.erase("head_dim");
  config.erase("num_key_value_heads");
  EXPECT_EQ(read(config).head_dim, 8);
  EXPECT_EQ(read(config).num_kv_heads, 4);
  config["hidden_size"] = 30;
  expect_refused(config, "field head_dim is absent");
}

// Phi-3: magnitude sqrt(1 + log(256 / 64) / log(64)) = sqrt(1 + 1/3).
TEST(FamilyConfig, TakesPhi3sShortFactorsAndMagnitude) {
  const json scaling = {
      {"type", "su"}, {"short_factor", {1, 2, 3, 4, 5, 6, 7, 8}}, {"long_factor", std::vector<int>(8, 9)}};
  json config = tiny_config("phi3", {{"rope_scaling", scaling}, {"original_max_position_embeddings", 64}});
  const RotaryTable rotary = read(config).kinds.at(0).rotary;
  EXPECT_THAT(rotary.divisor_F, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_NEAR(rotary.magnitude, std::sqrt(4.0 / 3), 1e-15);
  EXPECT_EQ(rotary.longest_sequence, 64);
  config["rope_scaling"]["attention_factor"] = 1.5;
  EXPECT_EQ(read(config).kinds.at(0).rotary.magnitude, 1.5);
  config["rope_scaling"]["long_factor"] = {1};
  expect_refused(config, "field rope_scaling.long_factor is \"[1]\", expected a list of 8 numbers above 0");
  config["rope_scaling"] = {{"type", "yarn"}};
  expect_refused(config, "field rope_scaling.type is \"yarn\", expected one of: default, longrope, su");
}

TEST(FamilyConfig, TurnsAPartOfEachHeadInPhi3Only) {
  EXPECT_EQ(read(tiny_config("phi3", {{"partial_rotary_factor", 0.75}})).kinds.at(0).rotary.dim, 12);
  EXPECT_EQ(read(tiny_config("phi3", {{"rope_parameters", {{"partial_rotary_factor", 0.5}}}})).kinds.at(0).rotary.dim,
            8);
  expect_refused(tiny_config("phi3", {{"partial_rotary_factor", 0.2}}), "field partial_rotary_factor is \"0.2\"");
  expect_refused(tiny_config("llama", {{"partial_rotary_factor", 0.5}}),
                 "field partial_rotary_factor is \"0.5\", expected 1");
}

TEST(FamilyConfig, RefusesWhatAFamilyDoesNotMean) {
  expect_refused(tiny_config("gemma3"), "expected one of: gemma, gemma2, gemma3_text");
  expect_refused(tiny_config("gemma3_text", {{"attn_logit_softcapping", 50.0}}), "field attn_logit_softcapping is");
  expect_refused(tiny_config("gemma2", {{"hidden_act", "silu"}}), "field hidden_act is");
  expect_refused(tiny_config("llama", {{"hidden_act", "relu"}}), "field hidden_act is \"relu\", expected one of");
  expect_refused(tiny_config("llama", {{"sliding_window", 5}}), "field sliding_window is \"5\"");
  expect_refused(tiny_config("llama", {{"rope_interleaved", true}}), "field rope_interleaved is");
  expect_refused(tiny_config("mistral", {{"layer_types", std::vector<std::string>(3, "full_attention")}}),
                 "field layer_types is");
  expect_refused(tiny_config("qwen3", {{"layer_types", {"full_attention"}}}), "expected one for each of the 3 layers");
  expect_refused(tiny_config("qwen3", {{"layer_types", {"full_attention", "chunked_attention", "full_attention"}}}),
                 "expected full_attention and sliding_attention only");
  expect_refused(tiny_config("qwen2", {{"use_mrope", true}}), "field use_mrope is");
  expect_refused(tiny_config("qwen2", {{"use_bidirectional_attention", true}}), "field use_bidirectional_attention is");
}

TEST(FamilyConfig, RefusesRotaryPositionsThatContradictThemselves) {
  const auto with = [](const json& changes) { return tiny_config("llama", changes); };
  expect_refused(with({{"rope_scaling", {{"type", "linear"}, {"rope_type", "llama3"}, {"factor", 2}}}}),
                 "field rope_scaling.type is");
  expect_refused(with({{"rope_scaling", {{"type", "linear"}}}}), "field rope_scaling.factor is absent");
  expect_refused(with({{"rope_scaling", {{"type", "linear"}, {"factor", 2}, {"beta_fast", 2}}}}),
                 "field rope_scaling.beta_fast is");
  expect_refused(with({{"rope_theta", 5}, {"rope_parameters", {{"rope_theta", 6}}}}), "field rope_theta is");
  expect_refused(with({{"rope_scaling", {{"type", "default"}}}, {"rope_parameters", {{"rope_theta", 6}}}}),
                 "field rope_scaling is");
  expect_refused(with({{"rope_scaling",
                        {{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 4}}}}),
                 "field rope_scaling.high_freq_factor is");
}

}  // namespace decoder_config_test
}  // namespace equipoise
