#include <cmath>

#include "common/log_linear/preference.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/hostile_input.h"

namespace equipoise {

bool fuzz_log_linear(std::span<const std::uint8_t> input) {
  const MemoryFile file(input);
  const log_linear::Problem problem{.features = log_linear::FeatureMap::kSame,
                                    .actions = 3,
                                    .reward_KD = {{1, 2, 3, 4}, {4, 3, 2, 1}},
                                    .initial_theta_D = {}};
  return accepts([&] {
    const auto read = log_linear::read_noted_preferences(file.path(), problem);
    promise(!read.preferences.empty(), "a file that is accepted has pairs");
    for (const log_linear::Preference& pair : read.preferences) {
      promise(pair.state.size() == problem.state_dim(), "a state has the problem's length");
      for (const double number : pair.state) promise(std::isfinite(number), "a state is finite");
      promise(pair.group < problem.groups(), "a group is one of the problem's");
      promise(pair.chosen < problem.actions && pair.rejected < problem.actions, "an action is one of the problem's");
      promise(pair.chosen != pair.rejected, "nobody prefers an action to itself");
      promise(pair.chosen_share > 0 && pair.chosen_share <= 1, "a share is in (0, 1]");
    }
    for (const std::string& note : read.notes) promise_refusal(note);
  });
}

}  // namespace equipoise
