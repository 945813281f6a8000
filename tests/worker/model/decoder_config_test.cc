#include "worker/model/decoder_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/temp_folder.h"

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
                 R"(field model_type is ""mamba"", expected one of: gemma, gemma2, gemma3_text, )"
                 "llama, mistral, phi3, qwen2, qwen3");
  expect_refused(gemma({{"model_type", nullptr}}), "expected one of: gemma");
}

TEST_F(ConfigFile, RefusesByNameWhatItDoesNotKnow) {
  expect_refused(gemma({{"final_logit_softcapping", 30.0}}), "field final_logit_softcapping is \"30.0\"");
  expect_refused(gemma({{"quantization_config", {{"bits", 4}}}}), "field quantization_config is ");
  expect_refused(gemma({{"use_bidirectional_attention", true}}), "field use_bidirectional_attention is \"true\"");
  expect_refused(
      gemma({{"rope_scaling", {{"rope_type", "new"}, {"factor", 2}}}}),
      "field rope_scaling.rope_type is \"\"new\"\", expected one of: default, linear, dynamic, llama3, yarn");
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
  EXPECT_THAT(
      [&] { read_decoder_config(folder_ / "nothing.json"); },
      Throws<std::invalid_argument>(Property(&std::invalid_argument::what, HasSubstr("nothing.json is not there"))));
}

}  // namespace decoder_config_test
}  // namespace equipoise
