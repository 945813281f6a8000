#include "worker/reference/reference_model.h"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <utility>

#include "common/base/message_text.h"
#include "worker/collective/broadcast.h"
#include "worker/reference/reference_cache.h"
#include "worker/reference/reference_probe.h"

namespace equipoise {
namespace {

void broadcast_values(AnswerLogProbs& values, std::size_t num_pairs, Collective& ranks) {
  for (std::vector<double>* const numbers : {&values.chosen_N, &values.rejected_N}) {
    numbers->resize(num_pairs);
    ranks.broadcast(std::as_writable_bytes(std::span(*numbers)), 0);
  }
}

std::string weights_of(Quantization quantization) { return quantization == Quantization::kNf4 ? " nf4" : ""; }

// Nothing unless every pair has them.
std::optional<AnswerLogProbs> given_log_probs(const EncodedPairs& pairs) {
  AnswerLogProbs given;
  for (const EncodedPair pair : pairs) {
    if (!pair.reference) return std::nullopt;
    given.chosen_N.push_back(pair.reference->chosen);
    given.rejected_N.push_back(pair.reference->rejected);
  }
  return given;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

ReferenceModel::ReferenceModel(ReferenceSettings settings, Collective& ranks, spdlog::logger& log)
    : settings_(std::move(settings)), ranks_(ranks), log_(log) {}

ReferenceModel::~ReferenceModel() = default;

ReferenceModel::Answer ReferenceModel::log_probs(const EncodedPairs& pairs, const std::string& what,
                                                 const std::function<void(std::int64_t)>& on_progress) {
  Answer answer;
  if (pairs.empty()) return answer;
  if (auto given = given_log_probs(pairs)) {
    check_given(pairs, *given, what);
    return {.values = *std::move(given), .entry = {}, .from_data = true};
  }
  std::optional<ReferenceCacheEntry> entry;
  std::optional<AnswerLogProbs> kept;
  if (is_first() && !settings_.cache.empty()) {
    entry = entry_for(pairs);
    kept = read(*entry, pairs.size(), what);
  }
  std::uint64_t is_kept = kept ? 1 : 0;
  ranks_.broadcast(std::as_writable_bytes(std::span(&is_kept, 1)), 0);
  if (is_kept != 0) {
    if (kept) answer = {.values = *std::move(kept), .entry = entry->path()};
    broadcast_values(answer.values, pairs.size(), ranks_);
    return answer;
  }
  const auto start = std::chrono::steady_clock::now();
  answer.values = compute_log_probs(decoder(), {.pairs = pairs,
                                                .token_budget = settings_.token_budget,
                                                .ranks = ranks_,
                                                .whose = "the reference model",
                                                .on_progress = on_progress});
  if (!is_first()) return answer;
  log_.info("reference log-probs of the {}: {} pairs computed in {:.2f} s", what, pairs.size(), seconds_since(start));
  if (entry) keep(*entry, answer.values, what);
  return answer;
}

void ReferenceModel::check_given(const EncodedPairs& pairs, const AnswerLogProbs& given, const std::string& what) {
  const Decoder& model = decoder();
  if (!is_first()) return;
  const ProbeResult probe = probe_reference(model, pairs, given, settings_.token_budget);
  if (!probe.is_close) {
    throw std::invalid_argument(
        "the fields ref_chosen_logps and ref_rejected_logps of the " + what + " are not of this reference: of pair " +
        std::to_string(probe.largest_pair + 1) + " they have " + number_text(probe.reference_logp) +
        " where the model says " + number_text(probe.policy_logp) +
        "; another model, template, tokenisation or length made them: take them out of the data, or name their model "
        "in model.reference");
  }
  log_.log(
      probe.is_same ? spdlog::level::info : spdlog::level::warn,
      "reference log-probs of the {}: all {} pairs have their own, which differ from the model's by at most {:.2g} "
      "on {} of them",
      what, pairs.size(), probe.largest_difference, probe.pairs);
}

const Digest& ReferenceModel::own_digest() {
  if (!model_digest_) model_digest_ = model_digest(settings_.folder, settings_.adapter, settings_.on_tensor);
  return *model_digest_;
}

Digest ReferenceModel::digest() {
  Digest digest{};
  if (is_first()) digest = own_digest();
  ranks_.broadcast(std::as_writable_bytes(std::span(digest)), 0);
  return digest;
}

ReferenceCacheEntry ReferenceModel::entry_for(const EncodedPairs& pairs) {
  const LogProbArithmetic arithmetic{.dtype = c10::toString(settings_.dtype) + weights_of(settings_.quantization),
                                     .device = c10::DeviceTypeName(settings_.device.type(), /*lower_case=*/true),
                                     .token_budget = settings_.token_budget};
  return {settings_.cache, reference_key(own_digest(), pairs, arithmetic)};
}

std::optional<AnswerLogProbs> ReferenceModel::read(const ReferenceCacheEntry& entry, std::size_t num_pairs,
                                                   const std::string& what) {
  auto [values, fault] = entry.read(num_pairs);
  if (values) {
    log_.info("reference log-probs of the {}: {} pairs taken from the cache, {}", what, num_pairs,
              entry.path().string());
  } else if (!fault.empty()) {
    log_.warn("reference log-probs of the {}: {} {}; computed again", what, entry.path().string(), fault);
  }
  return std::move(values);
}

void ReferenceModel::keep(const ReferenceCacheEntry& entry, const AnswerLogProbs& values, const std::string& what) {
  const std::string failure = entry.write(values);
  if (failure.empty()) {
    log_.info("reference log-probs of the {}: kept in {}", what, entry.path().string());
  } else {
    log_.warn("reference log-probs of the {} cannot be kept for the next run: {}", what, failure);
  }
}

const Decoder& ReferenceModel::decoder() {
  if (settings_.loaded != nullptr) return *settings_.loaded;
  if (!own_) {
    const auto on_progress = [this](std::size_t /*done*/, std::size_t /*all*/) {
      if (settings_.on_tensor) settings_.on_tensor();
    };
    own_ = std::make_unique<Decoder>(
        Decoder::load(settings_.folder, settings_.dtype, settings_.device, settings_.quantization, on_progress));
    check_same_on_all_ranks(ranks_, parameter_digest(own_->parameters()), "reference model");
    if (settings_.adapter.empty()) return *own_;
    own_->attach(load_adapter(settings_.adapter, own_->config(), settings_.dtype, settings_.device));
    check_same_on_all_ranks(ranks_, parameter_digest(own_->trained()), "reference adapter");
  }
  return *own_;
}

}  // namespace equipoise
