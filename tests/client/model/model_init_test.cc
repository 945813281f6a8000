#include "client/model/model_init.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "common/huggingface/safetensors.h"
#include "common/huggingface/tokenizer.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace model_init_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

const char* const kFiles[] = {"config.json",       "generation_config.json",
                              "model.safetensors", "special_tokens_map.json",
                              "tokenizer.json",    "tokenizer_config.json"};

class ModelInit : public testing::Test {
 protected:
  ModelInitOptions small(const std::string& name) const {
    return {.folder = folder_ / name,
            .texts = {pairs_},
            .vocab_size = 320,
            .hidden_size = 32,
            .intermediate_size = 64,
            .layers = 2,
            .heads = 4,
            .kv_heads = 2,
            .head_dim = 8};
  }
  nlohmann::json json(const std::string& name, const std::string& file) const {
    return nlohmann::json::parse(read_file(folder_ / name / file));
  }

  TempFolder folder_;
  std::filesystem::path pairs_ = folder_.write(
      "train.jsonl",
      R"({"prompt": "Opinion of people in Japan on: Is it good?\nA. Good\nB. Not good", "chosen": "A", "rejected": "B", "group": "Japan"})"
      "\n");
};

std::vector<float> values_of(const TensorView& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

TEST_F(ModelInit, WritesTheFilesOfAHuggingFaceFolder) {
  init_gemma(small("base"));
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "base")) {
    found.insert(entry.path().filename());
  }
  EXPECT_EQ(found, std::set<std::string>(std::begin(kFiles), std::end(kFiles)));
}

TEST_F(ModelInit, TellsOfEachPartUntilItIsDone) {
  std::vector<std::string> parts;
  std::map<std::string, double> shares;
  init_gemma(small("base"), [&](const std::string& part, double share) {
    if (parts.empty() || parts.back() != part) parts.push_back(part);
    EXPECT_GE(share, shares[part]) << part;
    EXPECT_LE(share, 1) << part;
    shares[part] = share;
  });
  EXPECT_THAT(parts,
              ElementsAre("reading texts", "counting words", "learning tokens", "drawing weights", "writing weights"));
  for (const char* whole : {"reading texts", "drawing weights", "writing weights"})
    EXPECT_EQ(shares[whole], 1) << whole;
}

TEST_F(ModelInit, LeavesNothingWhereWhoeverIsToldThrows) {
  for (const std::string at : {"reading texts", "counting words", "learning tokens", "writing weights"}) {
    const auto end = [&at](const std::string& part, double) {
      if (part == at) throw std::runtime_error("enough");
    };
    EXPECT_THAT([&] { init_gemma(small("base"), end); }, ThrowsMessage<std::runtime_error>("enough")) << at;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "base"));
  }
}

TEST_F(ModelInit, LearnsFromTheContentsOfMessages) {
  const auto pairs = folder_.write(
      "chats.jsonl",
      R"({"prompt": [{"role": "user", "content": "Opinion of people in Japan on: Is it good?\nA. Good"}],)"
      R"( "chosen": [{"role": "assistant", "content": [{"type": "text", "text": "A"}]}],)"
      R"( "rejected": [{"role": "assistant", "content": "\nB. Not goodAB"}]})");
  ModelInitOptions options = small("chats");
  options.texts = {pairs};
  init_gemma(options);
  const std::string tokenizer = read_file(folder_ / "chats" / "tokenizer.json");
  EXPECT_THAT(tokenizer, HasSubstr("\"J\""));
  EXPECT_THAT(tokenizer, testing::Not(HasSubstr("\"{\"")));  // no JSON
}

TEST_F(ModelInit, NamesAndShapesTheTensorsAsTransformersDoes) {
  const ModelInitResult result = init_gemma(small("base"));
  const SafetensorsFile file = SafetensorsFile::open(folder_ / "base" / "model.safetensors");
  std::map<std::string, std::vector<std::int64_t>> expected = {
      {"model.embed_tokens.weight", {static_cast<std::int64_t>(result.vocab_size), 32}}, {"model.norm.weight", {32}}};
  for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
    expected.insert({{layer + "input_layernorm.weight", {32}},
                     {layer + "post_attention_layernorm.weight", {32}},
                     {layer + "self_attn.q_proj.weight", {4 * 8, 32}},
                     {layer + "self_attn.k_proj.weight", {2 * 8, 32}},
                     {layer + "self_attn.v_proj.weight", {2 * 8, 32}},
                     {layer + "self_attn.o_proj.weight", {32, 4 * 8}},
                     {layer + "mlp.gate_proj.weight", {64, 32}},
                     {layer + "mlp.up_proj.weight", {64, 32}},
                     {layer + "mlp.down_proj.weight", {32, 64}}});
  }
  std::map<std::string, std::vector<std::int64_t>> found;
  std::int64_t parameters = 0;
  for (const TensorView& tensor : file.tensors()) {
    found[tensor.name] = tensor.shape;
    EXPECT_EQ(tensor.dtype, "F32");
    parameters += static_cast<std::int64_t>(tensor.bytes.size() / sizeof(float));
  }
  EXPECT_EQ(found, expected);
  EXPECT_EQ(result.parameters, parameters);
}

TEST_F(ModelInit, DrawsMatricesFromANormalDistributionAndLeavesNormsAtZero) {
  auto options = small("base");
  options.hidden_size = 256;
  options.initializer_range = 0.05;
  init_gemma(options);
  const SafetensorsFile file = SafetensorsFile::open(folder_ / "base" / "model.safetensors");
  for (const float value : values_of(*file.find("model.norm.weight"))) EXPECT_EQ(value, 0.F);
  const auto values = values_of(*file.find("model.embed_tokens.weight"));
  const auto n = static_cast<double>(values.size());
  double sum = 0, squares = 0, within = 0;
  for (const float value : values) {
    sum += value;
    squares += double{value} * value;
    if (std::abs(value) < 0.05F) within += 1;
  }
  // Five standard errors: s/sqrt(n) of the mean, s/sqrt(2n) of the deviation; 68.27 % lie within one deviation.
  EXPECT_NEAR(sum / n, 0, 5 * 0.05 / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n), 0.05, 5 * 0.05 / std::sqrt(2 * n));
  EXPECT_NEAR(within / n, 0.6827, 0.01);
}

TEST_F(ModelInit, WritesSettingsThatAgreeWithTheWeightsAndTheTokenizer) {
  const ModelInitResult result = init_gemma(small("base"));
  const auto config = json("base", "config.json");
  const Tokenizer tokenizer = Tokenizer::from_file(folder_ / "base" / "tokenizer.json");
  EXPECT_EQ(config["vocab_size"], result.vocab_size);
  EXPECT_EQ(tokenizer.vocab_size(), result.vocab_size);
  EXPECT_EQ(config["architectures"], nlohmann::json({"GemmaForCausalLM"}));
  EXPECT_EQ(config["hidden_size"], 32);
  EXPECT_EQ(config["num_key_value_heads"], 2);
  for (const char* token : {"bos", "eos", "pad"}) {
    const std::string text = json("base", "special_tokens_map.json")[std::string(token) + "_token"];
    EXPECT_EQ(config[std::string(token) + "_token_id"], tokenizer.token_to_id(text)) << token;
  }
  EXPECT_EQ(json("base", "tokenizer_config.json")["tokenizer_class"], "GemmaTokenizer");
}

TEST_F(ModelInit, HasTwoToFourMillionParametersByDefault) {
  const ModelInitResult result = init_gemma({.folder = folder_ / "base", .texts = {pairs_}});
  EXPECT_GT(result.parameters, 2'000'000);
  EXPECT_LT(result.parameters, 4'000'000);
}

TEST_F(ModelInit, GivesTheSameBytesForTheSameSeed) {
  init_gemma(small("a"));
  init_gemma(small("b"));
  auto other = small("c");
  other.seed = 2;
  init_gemma(other);
  for (const char* file : kFiles) EXPECT_EQ(read_file(folder_ / "a" / file), read_file(folder_ / "b" / file)) << file;
  EXPECT_NE(read_file(folder_ / "a" / "model.safetensors"), read_file(folder_ / "c" / "model.safetensors"));
}

TEST_F(ModelInit, RefusesAFolderThatExists) {
  std::filesystem::create_directory(folder_ / "base");
  EXPECT_THAT([&] { init_gemma(small("base")); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("base exists: choose a folder that does not")));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "base"));
}

TEST_F(ModelInit, LeavesNothingWhereItFails) {
  auto options = small("base");
  options.texts.push_back(folder_.write("bad.jsonl", "{\"prompt\": 1}\n"));
  EXPECT_THAT([&] { init_gemma(options); }, ThrowsMessage<std::invalid_argument>(HasSubstr("bad.jsonl:1: ")));
  options.texts = {folder_ / "absent.jsonl"};
  EXPECT_THROW(init_gemma(options), std::invalid_argument);
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    EXPECT_EQ(entry.path().extension(), ".jsonl") << entry.path();
  }
}

TEST_F(ModelInit, RefusesSizesThatDoNotFit) {
  const auto expect = [&](auto change, const std::string& why) {
    auto options = small("base");
    change(options);
    EXPECT_THAT([&] { init_gemma(options); }, ThrowsMessage<std::invalid_argument>(HasSubstr(why)));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "base"));
  };
  expect([](auto& o) { o.kv_heads = 3; }, "kv_heads is 3, expected a divisor of heads, 4");
  expect([](auto& o) { o.head_dim = 7; }, "head_dim is 7");
  expect([](auto& o) { o.hidden_size = 0; }, "hidden_size is 0");
  expect([](auto& o) { o.layers = -1; }, "layers is -1");
  expect(
      [](auto& o) {
        o.hidden_size = 1 << 20;
        o.intermediate_size = 1 << 20;
      },
      "parameters");
  expect([](auto& o) { o.vocab_size = 299; }, "vocab_size is 299");
  expect([](auto& o) { o.initializer_range = -1; }, "initializer_range is -1");
  expect([](auto& o) { o.texts.clear(); }, "texts");
  expect([](auto& o) { o.folder.clear(); }, "folder");
}

}  // namespace model_init_test
}  // namespace equipoise
