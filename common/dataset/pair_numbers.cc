#include "common/dataset/pair_numbers.h"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "common/base/number_text.h"
#include "common/dataset/json_field.h"

namespace equipoise {
namespace {

namespace dom = simdjson::dom;

// Sums of weights, and what is divided by them, are numbers then.
constexpr double kSmallestWeight = 1e-100, kLargestWeight = 1e9;

// The numbers that a field may be, and how they are called.
struct Range {
  double above;  // not itself
  double most;
  std::string_view wanted;
};

double number(std::string_view field, const dom::element& value, const Range& range) {
  double found = 0;
  const bool is_number = value.get_double().get(found) == simdjson::SUCCESS;
  if (is_number && found > range.above && found <= range.most) return found;
  refuse_value(field, is_number ? number_text(found) : found_text(value), range.wanted);
}

double log_prob(std::string_view field, const std::optional<dom::element>& value) {
  if (value)
    return number(field, *value, {-std::numeric_limits<double>::infinity(), 0, "a log-probability, at most 0"});
  throw std::invalid_argument("field \"" + std::string(field) +
                              "\" is missing, expected the reference's log-probability of both answers or of none");
}

}  // namespace

std::optional<dom::element>* PairNumbers::find(std::string_view key) {
  if (key == "chosen_share") return &chosen_share;
  if (key == "weight") return &weight;
  if (key == "ref_chosen_logps") return &reference_chosen;
  return key == "ref_rejected_logps" ? &reference_rejected : nullptr;
}

void read_numbers(const PairNumbers& numbers, PreferencePair& pair) {
  pair.chosen_share = 1;
  pair.weight = 1;
  pair.reference.reset();
  pair.says_share = numbers.chosen_share.has_value();
  pair.says_weight = numbers.weight.has_value();
  if (numbers.chosen_share) {
    pair.chosen_share = number("chosen_share", *numbers.chosen_share, {0, 1, "a number in (0, 1]"});
  }
  if (numbers.weight) {
    const double above = std::nextafter(kSmallestWeight, 0.0);
    pair.weight = number("weight", *numbers.weight, {above, kLargestWeight, "a number from 1e-100 to 1e9"});
  }
  if (!numbers.reference_chosen && !numbers.reference_rejected) return;
  pair.reference = {.chosen = log_prob("ref_chosen_logps", numbers.reference_chosen),
                    .rejected = log_prob("ref_rejected_logps", numbers.reference_rejected)};
}

}  // namespace equipoise
