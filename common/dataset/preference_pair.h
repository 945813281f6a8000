// One preference: two answers to a prompt, which one was preferred, and whose preference it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace equipoise {

// Means of a group divide by sums of memberships: what is smaller says that a pair is in no group.
inline constexpr double kSmallestMembership = 1e-6;

struct Membership {
  std::uint32_t group;  // position in PreferenceData::group_names
  double weight;        // m[i,g] from kSmallestMembership to 1
};

// What prompt, chosen and rejected hold.
enum class AnswerForm {
  kText,
  kMessages,  // a JSON list of messages {"role": ..., "content": ...} each, for a chat template
};

// What the reference says of the answers: sums over their tokens.
struct ReferenceLogProbs {
  double chosen = 0;
  double rejected = 0;
  bool operator==(const ReferenceLogProbs&) const = default;
};

struct PreferencePair {
  std::string prompt;
  std::string chosen;  // without the prompt
  std::string rejected;
  std::vector<Membership> memberships;  // not empty, ascending by group, each group once
  double chosen_share = 1;              // in (0, 1]: the share of people who prefer the chosen answer
  AnswerForm form = AnswerForm::kText;
  std::string tools = {};               // messages: JSON list of what the chat template may offer; empty: none
  std::string template_variables = {};  // messages: JSON object of what else the chat template sees; empty: none
  std::int64_t line = 0;                // of the file it was read from, from 1
  double weight = 1;                    // v_i > 0: what the pair counts for
  std::optional<ReferenceLogProbs> reference = {};  // "ref_chosen_logps" and "ref_rejected_logps"
  bool says_share = false, says_weight = false;     // whether the row has the field: all rows have it or none
};

struct PreferenceData {
  std::vector<PreferencePair> pairs;     // in the order of the file
  std::vector<std::string> group_names;  // in the order of first appearance
  std::string source = {};               // the file, for messages
};

// Reads JSONL: {"prompt": text, "chosen": text, "rejected": text, "group": NAME | [NAME, ...] | {NAME: m, ...}}.
// Without "prompt" on any line it is what both answers begin with; instead of texts there may be lists of messages, see
// answer_fields.h. "chosen_share", "weight" and the reference's log-probabilities may be there too, see json_field.h.
// Of these and of "group" all lines have one or none has; without "group" all pairs are in the group "all". Other keys
// are ignored, unless they look like one that is missing, as are blank lines and a byte order mark. Names in
// `known_groups` take its ids, so that train and validation share them; further names are appended. With a
// `group_separator` such as "/", a pair of "Asia/India" is a member of "Asia" too, with the same weight; of several
// weights a level is given so, the largest counts. Rejected::kOptional (SFT): "rejected" may be absent and is then
// empty. Throws std::invalid_argument "FILE:LINE: ..." naming the field, the value and what would be right: a file that
// cannot be read or has no pairs, malformed JSON or UTF-8, a missing or wrongly typed field, an empty group name or
// level of one, a share outside (0, 1], a membership that is none, a duplicate key, a line over 1 MiB, more than 4096
// groups.
enum class Rejected { kRequired, kOptional };
PreferenceData read_preference_file(const std::filesystem::path& path, Rejected rejected,
                                    std::vector<std::string> known_groups = {}, std::string_view group_separator = {});

}  // namespace equipoise
