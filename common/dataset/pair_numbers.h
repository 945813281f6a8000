// The numbers that a row may have beside prompt and answers.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string_view>

#include "common/dataset/preference_pair.h"

namespace equipoise {

struct PairNumbers {
  std::optional<simdjson::dom::element> chosen_share, weight, reference_chosen, reference_rejected;

  // The field of this key, nullptr for another: "chosen_share", "weight", "ref_chosen_logps", "ref_rejected_logps".
  std::optional<simdjson::dom::element>* find(std::string_view key);
};

// Sets what comes from these fields of `pair`. Throws std::invalid_argument naming the field, without the file's name:
// a share outside (0, 1], a weight below 1e-100 or above 1e9, a log-probability above 0 or without the other.
void read_numbers(const PairNumbers& numbers, PreferencePair& pair);

}  // namespace equipoise
