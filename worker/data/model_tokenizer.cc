#include <stdexcept>

#include "common/base/quoted_text.h"
#include "worker/data/encoded_pair.h"
#include "worker/data/json_file.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

// eos_token of one file: a text, or an object with its text under "content". Empty: the file says nothing.
std::string eos_text(const fs::path& file) {
  if (!fs::exists(file)) return {};
  const ordered_json settings = read_json_object(file);
  const auto eos = settings.find("eos_token");
  if (eos == settings.end() || eos->is_null()) return {};
  const ordered_json content = eos->is_object() ? eos->value("content", ordered_json()) : *eos;
  if (content.is_string() && !content.get_ref<const std::string&>().empty()) return content.get<std::string>();
  throw std::invalid_argument(file.string() + ": eos_token is " + quoted_text(eos->dump()) +
                              ", expected the token's text");
}

// The text of eos_token_id in config.json (the first, where it is a list).
std::string eos_text_of_id(const fs::path& config, const Tokenizer& tokenizer) {
  if (!fs::exists(config)) return {};
  const ordered_json settings = read_json_object(config);
  const auto field = settings.find("eos_token_id");
  if (field == settings.end() || field->is_null()) return {};
  const ordered_json eos = field->is_array() && !field->empty() ? field->front() : *field;
  const bool is_id = eos.is_number_unsigned() && eos.get<std::uint64_t>() < tokenizer.vocab_size();
  if (!is_id) {
    throw std::invalid_argument(config.string() + ": eos_token_id is " + quoted_text(field->dump()) +
                                ", expected a token id below " + std::to_string(tokenizer.vocab_size()));
  }
  const std::int32_t id = eos.get<std::int32_t>();
  return tokenizer.decode(std::span(&id, 1), Tokenizer::Decode::kKeepSpecial);
}

}  // namespace

ModelTokenizer load_model_tokenizer(const fs::path& folder) {
  Tokenizer tokenizer = Tokenizer::from_file(folder / "tokenizer.json");
  const fs::path special_tokens = folder / "special_tokens_map.json";
  if (fs::exists(special_tokens)) read_json_object(special_tokens);  // a broken one is refused, needed or not
  std::string eos = eos_text(folder / "tokenizer_config.json");
  if (eos.empty()) eos = eos_text(special_tokens);
  if (eos.empty()) eos = eos_text_of_id(folder / "config.json", tokenizer);
  if (eos.empty()) {
    throw std::invalid_argument(folder.string() +
                                ": no end-of-sequence token; tokenizer_config.json should name it as eos_token");
  }
  const auto id = tokenizer.token_to_id(eos);
  if (!id) {
    throw std::invalid_argument((folder / "tokenizer.json").string() + " has no token " + quoted_text(eos) +
                                ", which is the eos_token of this folder");
  }
  return {.tokenizer = std::move(tokenizer), .eos_token = std::move(eos), .eos_id = *id};
}

}  // namespace equipoise
