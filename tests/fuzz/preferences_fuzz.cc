#include <string>

#include "client/data/preference_writer.h"
#include "common/dataset/preference_pair.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/hostile_input.h"

namespace equipoise {
namespace {

void check_pair(const PreferencePair& pair, std::size_t num_groups) {
  promise(!pair.memberships.empty(), "a pair is in a group");
  for (std::size_t i = 0; i < pair.memberships.size(); ++i) {
    const Membership& membership = pair.memberships[i];
    promise(membership.group < num_groups, "a group id is one of the names'");
    promise(membership.weight >= kSmallestMembership && membership.weight <= 1, "a membership is from 1e-6 to 1");
    promise(i == 0 || pair.memberships[i - 1].group < membership.group, "memberships ascend");
  }
  promise(pair.chosen_share > 0 && pair.chosen_share <= 1, "a share is in (0, 1]");
  promise(pair.weight > 0 && pair.weight <= 1e9, "a weight is above 0");
  promise(!pair.reference || (pair.reference->chosen <= 0 && pair.reference->rejected <= 0), "log-probs are at most 0");
}

bool is_text(const PreferencePair& pair) { return pair.form == AnswerForm::kText; }

// A pair of texts, written as a line, reads back as it was.
void check_round_trip(const PreferenceData& data) {
  std::string text;
  for (const PreferencePair& pair : data.pairs) {
    if (!is_text(pair)) return;
    text += preference_line(pair, data.group_names) + "\n";
  }
  const MemoryFile file({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  const PreferenceData again = read_preference_file(file.path(), Rejected::kRequired);
  promise(again.pairs.size() == data.pairs.size(), "as many pairs are read back");
  for (std::size_t i = 0; i < data.pairs.size(); ++i) {
    const PreferencePair& before = data.pairs[i];
    const PreferencePair& after = again.pairs[i];
    promise(after.prompt == before.prompt && after.chosen == before.chosen && after.rejected == before.rejected,
            "texts are read back");
    promise(after.chosen_share == before.chosen_share, "a share is read back");
    promise(after.weight == before.weight && after.reference == before.reference, "numbers are read back");
    promise(after.memberships.size() == before.memberships.size(), "memberships are read back");
  }
}

}  // namespace

bool fuzz_preferences(std::span<const std::uint8_t> input) {
  const MemoryFile file(input);
  accepts([&] { read_preference_file(file.path(), Rejected::kOptional, {"a", "b"}, "/"); });
  return accepts([&] {
    const PreferenceData data = read_preference_file(file.path(), Rejected::kRequired);
    promise(!data.pairs.empty(), "a file that is accepted has pairs");
    for (const PreferencePair& pair : data.pairs) check_pair(pair, data.group_names.size());
    check_round_trip(data);
  });
}

}  // namespace equipoise
