#include "common/huggingface/name_pattern.h"

#include "common/huggingface/rust_bridge.h"
#include "common/huggingface/rust_values.h"

namespace equipoise {

std::vector<bool> matches_whole(const std::string& pattern, const std::vector<std::string>& names) {
  std::vector<eqhf_text> lent;
  lent.reserve(names.size());
  for (const std::string& name : names) lent.push_back(lend(name));
  std::vector<std::uint8_t> found(names.size());
  throw_if_failed(eqhf_match_names(lend(pattern), lent.data(), lent.size(), found.data()), "");
  return {found.begin(), found.end()};
}

}  // namespace equipoise
