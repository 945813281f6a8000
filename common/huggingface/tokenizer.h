// Hugging Face's own `tokenizers` library behind RAII. tokenizer.json in, token ids out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace equipoise {

enum class SpecialTokens { kAdd, kOmit };

class Tokenizer {
 public:
  // Throws std::invalid_argument naming the file and what the library found wrong.
  static Tokenizer from_file(const std::filesystem::path& tokenizer_json);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // kAdd runs the post-processor (BOS and the like). Special-token text inside `text` is parsed as such.
  // Throws std::invalid_argument on text that is not UTF-8. May be called from several threads at once.
  std::vector<std::int32_t> encode(std::string_view text, SpecialTokens special) const;
  // encode() of every text, on `threads` new threads, in order. The library remembers words for each thread (10 000 at
  // most) until the thread ends, even when the tokenizer is gone: prefer this one for many texts.
  std::vector<std::vector<std::int32_t>> encode_batch(std::span<const std::string> texts, SpecialTokens special,
                                                      int threads) const;
  enum class Decode { kKeepSpecial, kSkipSpecial };
  std::string decode(std::span<const std::int32_t> ids, Decode decode) const;
  std::size_t vocab_size() const;  // with added tokens
  std::optional<std::int32_t> token_to_id(std::string_view token) const;

 private:
  struct Deleter {
    void operator()(void* handle) const;
  };
  explicit Tokenizer(void* handle);
  std::unique_ptr<void, Deleter> handle_;
};

// Trains a tokenizer in Gemma's layout (BPE with byte fallback, " " -> "▁", <pad> 0, <eos> 1, <bos> 2, <unk> 3,
// <bos> prepended) on `texts` and writes `tokenizer_json`. The same texts give the same file, byte for byte.
// `vocab_size` counts the special and the 256 byte tokens too; throws std::invalid_argument if it is below 300.
void train_gemma_tokenizer(std::span<const std::string> texts, std::size_t vocab_size,
                           const std::filesystem::path& tokenizer_json);

}  // namespace equipoise
