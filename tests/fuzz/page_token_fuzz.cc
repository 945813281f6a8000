#include <string>

#include "coordinator/job/training_jobs.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/hostile_input.h"

namespace equipoise {

bool fuzz_page_token(std::span<const std::uint8_t> input) {
  const std::string token(reinterpret_cast<const char*>(input.data()), input.size());
  const coordinator::PageTokens tokens(std::string(32, 'k'));
  return accepts([&] {
    const auto position = tokens.position("jobs", token);
    promise(token.empty() == !position.has_value(), "no token but the empty one is the beginning");
    if (position) promise(tokens.make("jobs", *position) == token, "a token that is accepted was made here");
  });
}

}  // namespace equipoise
