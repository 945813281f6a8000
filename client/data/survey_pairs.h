// Preference pairs from a survey, in the paper's prompt format: one conversion for every survey format we read.
// Source: Ramesh et al. 2024 (arXiv:2405.20304), section 5.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "client/data/survey.h"
#include "common/dataset/preference_pair.h"

namespace equipoise {

enum class SurveySplit {
  kByPair,      // within each group, its own share of its questions: the paper's
  kByQuestion,  // an item goes to one file with all its wordings and groups: validation asks only unseen questions
};

enum class GroupInPrompt { kNamed, kOmitted };

enum class SurveyLabels {
  kMajority,  // chosen is the most voted option: the paper's
  kSampled,   // chosen is drawn by the vote shares: pairs disagree as the people do, and say how much
};

struct SurveyPairOptions {
  std::uint64_t seed = 1;
  double train_fraction = 0.8;  // in (0, 1)
  SurveySplit split = SurveySplit::kByPair;
  std::vector<std::string> groups = {};  // empty: all but "Overall"
  std::size_t pairs_per_question = 1;    // at least 1; each with another rejected answer, as far as there are any
  GroupInPrompt group_in_prompt = GroupInPrompt::kNamed;
  SurveyLabels labels = SurveyLabels::kMajority;
  std::size_t draws = 1;  // at least 1: pairs a question with kSampled, in place of pairs_per_question
};

struct SurveyGroupSummary {
  std::string group;
  std::size_t questions = 0;    // that gave pairs
  std::size_t without_top = 0;  // left out: a tie for the most voted option (not with kSampled), or only one option
  std::size_t train_pairs = 0;
  std::size_t validation_pairs = 0;
  std::size_t compared = 0;   // of `questions`: those with an overall top answer to compare with
  std::size_t differing = 0;  // of `compared`: the group's top answer is another one
  double differing_share() const {
    return compared == 0 ? 0 : static_cast<double>(differing) / static_cast<double>(compared);
  }
};

struct SurveyPairs {
  PreferenceData train;                    // in the order of the survey; chosen and rejected are letters
  PreferenceData validation;               // likewise; both know all groups of `groups`
  std::vector<SurveyGroupSummary> groups;  // in the order of first appearance
};

// "Opinion of people in GROUP on: QUESTION\nPlease select the best response:\nA. ...\nB. ...", no newline at the end.
std::string survey_prompt(const SurveyQuestion& question, const std::string& group, GroupInPrompt group_in_prompt);

// chosen is the letter of the most voted option, rejected another one at random. With kSampled each draw takes an
// option by its share of the votes as chosen, any other one at random as rejected, and their chosen_share is
// share(chosen) / (share(chosen) + share(rejected)): how likely this order is, given the two. The overall top answer is
// that of the group "Overall", or of the mean over all groups where a question has none. A group's pairs depend on the
// seed and on that group alone, not on which others are asked for (by question: on all items of the survey). Throws
// std::invalid_argument on an option out of range, a group that is not in the survey, or a group that would have no
// pair in one of the two files.
SurveyPairs make_survey_pairs(const Survey& survey, const SurveyPairOptions& options);

}  // namespace equipoise
