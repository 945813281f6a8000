#include "client/model/model_init.h"

#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "common/base/durable_file.h"
#include "common/base/message_text.h"
#include "common/base/split_mix64.h"
#include "common/dataset/data_files.h"
#include "common/dataset/preference_reader.h"
#include "common/huggingface/safetensors.h"
#include "common/huggingface/tokenizer.h"

namespace equipoise {
namespace {

using Json = nlohmann::ordered_json;

// Beyond this the folder would not be small, and a mistyped option would fill the disk.
constexpr std::int64_t kMostParameters = 1'000'000'000;
constexpr std::int64_t kLargestSize = 1 << 20;

constexpr std::array<const char*, 5> kSpecialTokens = {"<pad>", "<eos>", "<bos>", "<unk>", "<mask>"};

[[noreturn]] void refuse(const std::string& option, const std::string& value, const std::string& wanted) {
  throw std::invalid_argument(option + " is " + value + ", expected " + wanted);
}

void check(const ModelInitOptions& options) {
  const std::pair<const char*, std::int64_t> sizes[] = {{"hidden_size", options.hidden_size},
                                                        {"intermediate_size", options.intermediate_size},
                                                        {"layers", options.layers},
                                                        {"heads", options.heads},
                                                        {"kv_heads", options.kv_heads},
                                                        {"head_dim", options.head_dim},
                                                        {"max_positions", options.max_positions}};
  for (const auto& [name, size] : sizes) {
    if (size < 1 || size > kLargestSize) refuse(name, std::to_string(size), "1 to " + std::to_string(kLargestSize));
  }
  if (options.heads % options.kv_heads != 0) {
    refuse("kv_heads", std::to_string(options.kv_heads), "a divisor of heads, " + std::to_string(options.heads));
  }
  if (options.head_dim % 2 != 0) refuse("head_dim", std::to_string(options.head_dim), "an even number");
  if (!std::isfinite(options.initializer_range) || options.initializer_range < 0) {
    refuse("initializer_range", number_text(options.initializer_range), "a number >= 0");
  }
  if (options.vocab_size < 300 || options.vocab_size > static_cast<std::size_t>(kLargestSize)) {
    refuse("vocab_size", std::to_string(options.vocab_size), "300 to " + std::to_string(kLargestSize));
  }
  if (options.layers > 1000) refuse("layers", std::to_string(options.layers), "1 to 1000");
  const std::int64_t parameters = count_gemma_parameters(options, options.vocab_size);
  if (parameters > kMostParameters) {
    refuse("the number of parameters", std::to_string(parameters), "at most " + std::to_string(kMostParameters));
  }
  if (options.folder.empty()) refuse("folder", "empty", "the path of a new folder");
  if (options.texts.empty()) refuse("texts", "empty", "at least one preference file for the tokenizer to learn from");
}

// Texts of the messages, without the names of their fields; parts of a content count too.
void add_contents(const Json& messages, std::vector<std::string>& texts) {
  for (const Json& message : messages) {
    const Json content = message.value("content", Json());
    if (content.is_string()) texts.push_back(content.get<std::string>());
    if (!content.is_array()) continue;
    for (const Json& part : content) {
      if (part.is_object() && part.value("text", Json()).is_string()) texts.push_back(part["text"].get<std::string>());
    }
  }
}

// What share of all a part of it is.
template <typename Number>
double share_of(Number part, Number all) {
  return all > 0 ? static_cast<double>(part) / static_cast<double>(all) : 0;
}

std::vector<std::string> read_texts(const std::vector<std::filesystem::path>& files, const OnModelPart& on_part) {
  std::vector<std::string> texts;
  std::int64_t total = 0, before = 0;
  for (const auto& file : files) total += data_bytes(file);
  for (const auto& file : files) {
    // Whose preferences they are does not matter here.
    PreferenceReader reader(file, {.rejected = Rejected::kOptional, .group = "all"});
    for (PreferencePair pair; reader.next(pair);) {
      on_part("reading texts", share_of(before + reader.bytes_read(), total));
      for (std::string* text : {&pair.prompt, &pair.chosen, &pair.rejected}) {
        if (pair.form == AnswerForm::kText) texts.push_back(std::move(*text));
        if (pair.form == AnswerForm::kMessages && !text->empty()) add_contents(Json::parse(*text), texts);
      }
    }
    before += reader.bytes_read();
  }
  return texts;
}

Json model_config(const ModelInitOptions& options, std::size_t vocab_size) {
  return {{"architectures", {"GemmaForCausalLM"}},
          {"attention_bias", false},
          {"attention_dropout", 0.0},
          {"bos_token_id", 2},
          {"dtype", "float32"},
          {"eos_token_id", 1},
          {"head_dim", options.head_dim},
          {"hidden_act", "gelu_pytorch_tanh"},
          {"hidden_activation", "gelu_pytorch_tanh"},
          {"hidden_size", options.hidden_size},
          {"initializer_range", options.initializer_range},
          {"intermediate_size", options.intermediate_size},
          {"max_position_embeddings", options.max_positions},
          {"model_type", "gemma"},
          {"num_attention_heads", options.heads},
          {"num_hidden_layers", options.layers},
          {"num_key_value_heads", options.kv_heads},
          {"pad_token_id", 0},
          {"rms_norm_eps", 1e-6},
          {"rope_parameters", {{"rope_theta", 10000.0}, {"rope_type", "default"}}},
          {"tie_word_embeddings", true},
          {"use_cache", true},
          {"vocab_size", vocab_size}};
}

Json special_tokens_map() {
  return {{"bos_token", "<bos>"}, {"eos_token", "<eos>"}, {"pad_token", "<pad>"}, {"unk_token", "<unk>"}};
}

Json tokenizer_config(const ModelInitOptions& options) {
  Json config = special_tokens_map();
  config["mask_token"] = "<mask>";
  config["tokenizer_class"] = "GemmaTokenizer";
  config["model_max_length"] = options.max_positions;
  config["clean_up_tokenization_spaces"] = false;
  config["padding_side"] = "left";
  config["add_bos_token"] = true;
  config["add_eos_token"] = false;
  for (std::size_t id = 0; id < kSpecialTokens.size(); ++id) {
    config["added_tokens_decoder"][std::to_string(id)] = {{"content", kSpecialTokens.at(id)},
                                                          {"lstrip", false},
                                                          {"normalized", false},
                                                          {"rstrip", false},
                                                          {"single_word", false},
                                                          {"special", true}};
  }
  return config;
}

Json generation_config() {
  return {{"_from_model_config", true}, {"bos_token_id", 2}, {"eos_token_id", 1}, {"pad_token_id", 0}};
}

void write_json(const std::filesystem::path& path, const Json& json) { write_durably(path, json.dump(2) + "\n"); }

void write_weights(const std::filesystem::path& path, const std::vector<NewTensor>& tensors,
                   const OnModelPart& on_part) {
  std::vector<TensorView> views;
  std::int64_t total = 0, written = 0;
  for (const NewTensor& tensor : tensors) {
    views.push_back({tensor.name, "F32", tensor.shape, std::as_bytes(std::span(tensor.values))});
    total += std::ssize(views.back().bytes);
  }
  write_safetensors(path, views, {{"format", "pt"}}, [&](std::int64_t bytes) {
    written += bytes;
    on_part("writing weights", share_of(written, total));
  });
}

std::filesystem::path parent_of(const std::filesystem::path& folder) {
  return (folder.filename().empty() ? folder.parent_path() : folder).parent_path();  // "models/base/"
}

}  // namespace

ModelInitResult init_gemma(const ModelInitOptions& options, const OnModelPart& on_part) {
  check(options);
  const OnModelPart tell = on_part ? on_part : [](const std::string&, double) {};
  const std::vector<std::string> texts = read_texts(options.texts, tell);
  std::error_code ignored;  // DurableFolder says what is wrong
  std::filesystem::create_directories(parent_of(options.folder), ignored);
  DurableFolder folder(options.folder);
  const auto on_share = [&tell](TrainingPart part, double share) {
    tell(part == TrainingPart::kWords ? "counting words" : "learning tokens", share);
  };
  train_gemma_tokenizer(texts, options.vocab_size, folder / "tokenizer.json", on_share);
  const std::size_t vocab_size = Tokenizer::from_file(folder / "tokenizer.json").vocab_size();
  write_json(folder / "tokenizer_config.json", tokenizer_config(options));
  write_json(folder / "special_tokens_map.json", special_tokens_map());
  write_json(folder / "config.json", model_config(options, vocab_size));
  write_json(folder / "generation_config.json", generation_config());
  write_weights(folder / "model.safetensors", draw_gemma_weights(options, vocab_size, tell), tell);
  folder.commit();
  return {.vocab_size = vocab_size, .parameters = count_gemma_parameters(options, vocab_size)};
}

namespace {

struct TensorPlan {
  std::string name;
  std::vector<std::int64_t> shape;
  std::int64_t size() const {
    return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  }
};

std::vector<TensorPlan> plan(const ModelInitOptions& options, std::size_t vocab_size) {
  const std::int64_t hidden = options.hidden_size;
  const std::int64_t inner = options.intermediate_size;
  const std::int64_t queries = options.heads * options.head_dim;
  const std::int64_t keys = options.kv_heads * options.head_dim;
  std::vector<TensorPlan> tensors = {{"model.embed_tokens.weight", {static_cast<std::int64_t>(vocab_size), hidden}}};
  for (std::int64_t layer = 0; layer < options.layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    tensors.push_back({prefix + "input_layernorm.weight", {hidden}});
    tensors.push_back({prefix + "self_attn.q_proj.weight", {queries, hidden}});
    tensors.push_back({prefix + "self_attn.k_proj.weight", {keys, hidden}});
    tensors.push_back({prefix + "self_attn.v_proj.weight", {keys, hidden}});
    tensors.push_back({prefix + "self_attn.o_proj.weight", {hidden, queries}});
    tensors.push_back({prefix + "post_attention_layernorm.weight", {hidden}});
    tensors.push_back({prefix + "mlp.gate_proj.weight", {inner, hidden}});
    tensors.push_back({prefix + "mlp.up_proj.weight", {inner, hidden}});
    tensors.push_back({prefix + "mlp.down_proj.weight", {hidden, inner}});
  }
  tensors.push_back({"model.norm.weight", {hidden}});
  return tensors;
}

// Standard normal as the sum of 12 uniform numbers of 16 bits (Irwin-Hall): mean 0, variance 1 - 2^-32, within 6
// deviations. Whole numbers only, so that every machine draws the same bits; logarithm and cosine of another libm would
// not.
double draw_normal(SplitMix64& random) {
  constexpr std::int64_t kTwiceTheMean = 12 * 65535;
  std::int64_t sum = 0;
  for (int word = 0; word < 3; ++word) {
    const std::uint64_t bits = random.next();
    for (int shift = 0; shift < 64; shift += 16) sum += static_cast<std::int64_t>((bits >> shift) & 0xFFFF);
  }
  return static_cast<double>(2 * sum - kTwiceTheMean) / (2 * 65536.0);
}

}  // namespace

std::vector<NewTensor> draw_gemma_weights(const ModelInitOptions& options, std::size_t vocab_size,
                                          const OnModelPart& on_part) {
  SplitMix64 random(options.seed);
  const std::int64_t total = count_gemma_parameters(options, vocab_size);
  std::int64_t drawn = 0;
  std::vector<NewTensor> tensors;
  for (TensorPlan& planned : plan(options, vocab_size)) {
    std::vector<float> values(static_cast<std::size_t>(planned.size()), 0.F);
    const bool is_norm = planned.shape.size() == 1;
    if (!is_norm) {
      for (float& value : values) value = static_cast<float>(options.initializer_range * draw_normal(random));
    }
    drawn += planned.size();
    if (on_part) on_part("drawing weights", share_of(drawn, total));
    tensors.push_back({std::move(planned.name), std::move(planned.shape), std::move(values)});
  }
  return tensors;
}

std::int64_t count_gemma_parameters(const ModelInitOptions& options, std::size_t vocab_size) {
  std::int64_t count = 0;
  for (const TensorPlan& planned : plan(options, vocab_size)) count += planned.size();
  return count;
}

}  // namespace equipoise
