#include "common/config/data_config.h"

#include <algorithm>

#include "common/base/quoted_text.h"
#include "common/config/data_files_config.h"
#include "common/config/field_check.h"
#include "common/config/set_enum.h"

namespace equipoise {

namespace {

// The limits of the authors' code, whose prompts may fill half of the room.
constexpr int kAuthorsMaxLength = 512;

void set_lengths(DataConfig& config, const v1::DataSpec& spec) {
  const bool authors = config.tokenization == Tokenization::kAuthors;
  if (authors) config.max_length = kAuthorsMaxLength;
  if (spec.has_max_length()) {
    config.max_length = static_cast<int>(checked_integer("data.max_length", spec.max_length(), {2, 1 << 20}));
  }
  if (authors) config.max_prompt_length = config.max_length / 2;
  if (!spec.has_max_prompt_length()) return;
  config.max_prompt_length =
      static_cast<int>(checked_integer("data.max_prompt_length", spec.max_prompt_length(), {1, config.max_length - 1}));
}

std::string checked_separator(const std::string& separator) {
  constexpr std::size_t kLongest = 16;
  const bool has_control = std::any_of(separator.begin(), separator.end(),
                                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (separator.empty() || separator.size() > kLongest || has_control) {
    refuse_field("data.group_separator", quoted_text(separator), "1 to 16 bytes without control characters, such as /");
  }
  return separator;
}

}  // namespace

DataConfig data_config(const v1::DataSpec& spec) {
  DataConfig config;
  set_data_files(config, spec);
  if (spec.has_test()) config.test = checked_path("data.test", spec.test());
  set_enum(config.truncation, "data.truncation", spec.truncation(), v1::Truncation_descriptor());
  set_enum(config.tokenization, "data.tokenization", spec.tokenization(), v1::Tokenization_descriptor());
  set_lengths(config, spec);
  if (spec.has_token_cache()) config.token_cache = spec.token_cache();
  if (spec.has_shuffle()) config.shuffle = spec.shuffle();
  config.group_counts = checked_group_numbers("data.group_counts", spec.group_counts());
  if (spec.has_group_separator()) config.group_separator = checked_separator(spec.group_separator());
  return config;
}

}  // namespace equipoise
