#include "common/huggingface/tokenizer.h"

#include <simdjson.h>

#include <exception>
#include <stdexcept>
#include <utility>

#include "common/base/bounded_file.h"
#include "common/base/download_fault.h"
#include "common/base/durable_file.h"
#include "common/huggingface/rust_bridge.h"
#include "common/huggingface/rust_values.h"

namespace equipoise {
namespace {

constexpr std::uintmax_t kLargestTokenizer = std::uintmax_t{256} << 20;  // those of 256,000 tokens have 35 MB
constexpr std::size_t kSmallestVocabulary = 300;  // special and byte tokens, and some room for letters

const eqhf_tokenizer* as_rust(const void* handle) { return static_cast<const eqhf_tokenizer*>(handle); }

}  // namespace

Tokenizer::Tokenizer(std::string name, std::chrono::milliseconds longest_encoding, void* handle)
    : name_(std::move(name)), longest_encoding_(longest_encoding), handle_(handle) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

void Tokenizer::Deleter::operator()(void* handle) const { eqhf_tokenizer_free(static_cast<eqhf_tokenizer*>(handle)); }

Tokenizer Tokenizer::from_file(const std::filesystem::path& tokenizer_json,
                               std::chrono::milliseconds longest_encoding) {
  check_download(tokenizer_json);
  const std::string json = read_bounded_file(tokenizer_json, kLargestTokenizer, "a tokenizer.json");
  eqhf_tokenizer* handle = nullptr;
  const eqhf_string failure = eqhf_tokenizer_from_json(lend(json), &handle);
  simdjson::dom::parser parser;
  const bool is_json = handle != nullptr || parser.parse(json).error() == simdjson::SUCCESS;
  throw_if_failed(failure, tokenizer_json.string() +
                               (is_json ? ": is not a tokenizer: " : ": is cut short or no JSON: download it again: "));
  return Tokenizer(tokenizer_json.string(), longest_encoding, handle);
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, SpecialTokens special) const {
  const std::string own(text);
  return std::move(encode_batch(std::span(&own, 1), special, 1).front());
}

std::vector<std::vector<std::int32_t>> Tokenizer::encode_batch(std::span<const std::string> texts,
                                                               SpecialTokens special, int threads) const {
  if (threads < 1) throw std::invalid_argument("threads is " + std::to_string(threads) + ", expected at least 1");
  std::vector<eqhf_text> lent;
  lent.reserve(texts.size());
  for (const std::string& text : texts) lent.push_back(lend(text));
  std::vector<eqhf_ids> lists(texts.size());
  std::size_t failed = 0;
  const OwnedText failure(eqhf_tokenizer_encode(
      as_rust(handle_.get()), lent.data(), lent.size(), special == SpecialTokens::kAdd ? 1 : 0,
      static_cast<std::size_t>(threads), static_cast<std::uint64_t>(longest_encoding_.count()), lists.data(), &failed));
  if (!failure.is_none()) throw TextRefused(failed, name_ + ": " + std::string(failure.view()));
  std::vector<std::vector<std::int32_t>> ids;
  ids.reserve(lists.size());
  for (const eqhf_ids list : lists) ids.push_back(OwnedIds(list).copy());
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, Decode decode) const {
  eqhf_string text{};
  throw_if_failed(
      eqhf_tokenizer_decode(as_rust(handle_.get()), ids.data(), ids.size(), decode == Decode::kSkipSpecial, &text),
      name_ + ": ");
  const OwnedText owned(text);
  return std::string(owned.view());
}

std::size_t Tokenizer::vocab_size() const { return eqhf_tokenizer_vocab_size(as_rust(handle_.get())); }

std::optional<std::int32_t> Tokenizer::token_to_id(std::string_view token) const {
  const std::int64_t id = eqhf_tokenizer_token_to_id(as_rust(handle_.get()), lend(token));
  if (id < 0) return std::nullopt;
  return static_cast<std::int32_t>(id);
}

namespace {

// No exception may pass through Rust.
struct TrainingWatch {
  const OnTrainingShare& on_share;
  std::exception_ptr thrown = nullptr;
};

int tell_share(void* context, int part, double share) noexcept {
  auto& watch = *static_cast<TrainingWatch*>(context);
  try {
    watch.on_share(part == 0 ? TrainingPart::kWords : TrainingPart::kMerges, share);
    return 0;
  } catch (...) {
    watch.thrown = std::current_exception();
    return 1;
  }
}

}  // namespace

void train_gemma_tokenizer(std::span<const std::string> texts, std::size_t vocab_size,
                           const std::filesystem::path& tokenizer_json, const OnTrainingShare& on_share) {
  if (vocab_size < kSmallestVocabulary) {
    throw std::invalid_argument("vocab_size is " + std::to_string(vocab_size) + ", expected at least " +
                                std::to_string(kSmallestVocabulary));
  }
  std::vector<eqhf_text> lent;
  lent.reserve(texts.size());
  for (const std::string& text : texts) lent.push_back(lend(text));
  eqhf_string json{};
  TrainingWatch watch{.on_share = on_share};
  const eqhf_watcher watcher{.told = on_share ? tell_share : nullptr, .context = &watch};
  const eqhf_string fault = eqhf_train_gemma_tokenizer(lent.data(), lent.size(), vocab_size, watcher, &json);
  if (watch.thrown) {
    eqhf_string_free(fault);
    std::rethrow_exception(watch.thrown);
  }
  throw_if_failed(fault, "tokenizer training: ");
  const OwnedText owned(json);
  write_durably(tokenizer_json, owned.view());
}

}  // namespace equipoise
