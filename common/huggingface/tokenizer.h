// Hugging Face's own `tokenizers` library behind RAII. tokenizer.json in, token ids out.
//
// A tokenizer.json is not trusted: what it makes of a text is bounded. A search of a pattern takes at most 2^24 steps
// back, a normalised text is at most 64 KiB and 32 times as long as the text, and one text has 512 MiB of memory (and
// 1 KiB for each of its bytes) and so much of a processor's time. Reading the file is bounded alike.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace equipoise {

enum class SpecialTokens { kAdd, kOmit };

// A text that is not UTF-8, or takes a tokenizer more than it may: "TOKENIZER.JSON: its Split of ... takes ...".
class TextRefused : public std::invalid_argument {
 public:
  TextRefused(std::size_t text, const std::string& what) : std::invalid_argument(what), text_(text) {}
  std::size_t text() const { return text_; }  // its place among those that were given

 private:
  std::size_t text_;
};

class Tokenizer {
 public:
  // Throws std::invalid_argument naming the file and what the library found wrong.
  //   longest_encoding   of a processor, for one text; 1 MiB takes a second
  static Tokenizer from_file(const std::filesystem::path& tokenizer_json,
                             std::chrono::milliseconds longest_encoding = std::chrono::minutes(1));

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // kAdd runs the post-processor (BOS and the like). Special-token text inside `text` is parsed as such.
  // Throws TextRefused. May be called from several threads at once.
  std::vector<std::int32_t> encode(std::string_view text, SpecialTokens special) const;
  // encode() of every text, on `threads` new threads, in order: prefer this one for many texts. The library remembers
  // words for each thread (10 000 at most) until the thread ends. After TextRefused a thread may go on until the
  // process ends.
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
  Tokenizer(std::string name, std::chrono::milliseconds longest_encoding, void* handle);
  std::string name_;  // for messages
  std::chrono::milliseconds longest_encoding_;
  std::unique_ptr<void, Deleter> handle_;
};

// Trains a tokenizer in Gemma's layout (BPE with byte fallback, " " -> "▁", <pad> 0, <eos> 1, <bos> 2, <unk> 3,
// <bos> prepended) on `texts` and writes `tokenizer_json`. The same texts give the same file, byte for byte.
// `vocab_size` counts the special and the 256 byte tokens too; throws std::invalid_argument if it is below 300.
//   on_share  which part is being done, and what share of it is; what it throws ends the training
enum class TrainingPart { kWords, kMerges };
using OnTrainingShare = std::function<void(TrainingPart, double)>;
void train_gemma_tokenizer(std::span<const std::string> texts, std::size_t vocab_size,
                           const std::filesystem::path& tokenizer_json, const OnTrainingShare& on_share = {});

}  // namespace equipoise
