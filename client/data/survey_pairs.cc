#include "client/data/survey_pairs.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "client/data/fnv_hash.h"
#include "common/base/message_text.h"
#include "common/base/split_mix64.h"

namespace equipoise {
namespace {

std::string letter(std::size_t option) { return std::string(1, static_cast<char>('A' + option)); }

// The most voted option; none where two share the first place or there is nothing to choose from.
std::optional<std::size_t> top_option(const std::vector<double>& shares_O) {
  const auto top = std::max_element(shares_O.begin(), shares_O.end());
  if (shares_O.size() < 2 || std::count(shares_O.begin(), shares_O.end(), *top) > 1) return std::nullopt;
  return static_cast<std::size_t>(top - shares_O.begin());
}

// An option by its share of the votes; never one that nobody took.
std::size_t drawn_option(const std::vector<double>& shares_O, SplitMix64& random) {
  double left = random.uniform() * std::accumulate(shares_O.begin(), shares_O.end(), 0.0);
  std::size_t last = 0;
  for (std::size_t o = 0; o < shares_O.size(); ++o) {
    if (shares_O[o] == 0) continue;
    last = o;
    if (left < shares_O[o]) break;
    left -= shares_O[o];
  }
  return last;
}

void add_normalised(std::vector<double>& sum_O, const std::vector<double>& shares_O) {
  const double total = std::accumulate(shares_O.begin(), shares_O.end(), 0.0);
  sum_O.resize(shares_O.size());
  for (std::size_t o = 0; o < shares_O.size(); ++o) sum_O[o] += shares_O[o] / total;
}

// The overall top answer of every question.
std::vector<std::optional<std::size_t>> overall_top(const Survey& survey) {
  std::vector<std::vector<double>> mean(survey.questions.size()), stated(survey.questions.size());
  for (const SurveyAnswer& answer : survey.answers) {
    add_normalised(answer.group == kOverallGroup ? stated[answer.question] : mean[answer.question], answer.shares_O);
  }
  std::vector<std::optional<std::size_t>> top(survey.questions.size());
  for (std::size_t q = 0; q < top.size(); ++q) {
    const auto& shares_O = stated[q].empty() ? mean[q] : stated[q];
    if (!shares_O.empty()) top[q] = top_option(shares_O);
  }
  return top;
}

// How many of `count` go to the training file: both get some where there are two.
std::size_t train_count(std::size_t count, double train_fraction) {
  const auto rounded = static_cast<std::size_t>(std::llround(static_cast<double>(count) * train_fraction));
  return count < 2 ? count : std::clamp<std::size_t>(rounded, 1, count - 1);
}

std::set<std::string> training_keys(const Survey& survey, const SurveyPairOptions& options) {
  std::vector<std::string> keys;
  for (const SurveyQuestion& question : survey.questions) keys.push_back(question.key);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  SplitMix64 random(options.seed);
  random.shuffle(keys);
  const auto end = keys.begin() + static_cast<std::ptrdiff_t>(train_count(keys.size(), options.train_fraction));
  return {keys.begin(), end};
}

// Answers of each group that have a top option, as positions in Survey::answers.
struct GroupAnswers {
  std::string group;
  std::vector<std::size_t> answers;
};

std::vector<GroupAnswers> answers_by_group(const Survey& survey) {
  std::vector<GroupAnswers> groups;
  std::map<std::string, std::size_t> index_of;
  for (std::size_t i = 0; i < survey.answers.size(); ++i) {
    const std::string& group = survey.answers[i].group;
    const auto [place, is_new] = index_of.try_emplace(group, groups.size());
    if (is_new) groups.push_back({group, {}});
    groups[place->second].answers.push_back(i);
  }
  return groups;
}

void keep_wanted(std::vector<GroupAnswers>& groups, const std::vector<std::string>& wanted) {
  std::string known;
  for (const GroupAnswers& group : groups) known += (known.empty() ? "" : ", ") + group.group;
  for (const std::string& name : wanted) {
    if (std::none_of(groups.begin(), groups.end(), [&](const auto& group) { return group.group == name; })) {
      throw std::invalid_argument("group " + quoted_text(name) + " is not in the survey, expected one of: " + known);
    }
  }
  std::erase_if(groups, [&](const GroupAnswers& group) {
    if (wanted.empty()) return group.group == kOverallGroup;
    return std::find(wanted.begin(), wanted.end(), group.group) == wanted.end();
  });
  if (groups.empty()) throw std::invalid_argument("the survey has no group but \"Overall\", expected at least one");
}

void check(const SurveyPairOptions& options) {
  if (!(options.train_fraction > 0 && options.train_fraction < 1)) {
    throw std::invalid_argument("train_fraction is " + number_text(options.train_fraction) +
                                ", expected a number between 0 and 1");
  }
  if (options.pairs_per_question < 1) throw std::invalid_argument("pairs_per_question is 0, expected at least 1");
  if (options.draws < 1) throw std::invalid_argument("draws is 0, expected at least 1");
  const bool is_sampled = options.labels == SurveyLabels::kSampled;
  if (is_sampled && options.pairs_per_question > 1) {
    throw std::invalid_argument("pairs_per_question is " + std::to_string(options.pairs_per_question) +
                                ", expected 1 with sampled labels; give draws instead");
  }
  if (!is_sampled && options.draws > 1) {
    throw std::invalid_argument("draws is " + std::to_string(options.draws) +
                                ", expected 1 with the majority's labels; give pairs_per_question instead");
  }
}

class PairMaker {
 public:
  PairMaker(const Survey& survey, const SurveyPairOptions& options)
      : survey_(survey), options_(options), overall_top_(overall_top(survey)) {
    if (options.split == SurveySplit::kByQuestion) training_keys_ = training_keys(survey, options);
  }

  // Pairs of one group, by the answer they come from: the caller brings groups back into the survey's order.
  struct MadePairs {
    std::size_t answer;
    bool train;
    std::vector<PreferencePair> pairs;
  };
  std::vector<MadePairs> make(const GroupAnswers& group, std::uint32_t group_id, SurveyGroupSummary& summary) {
    summary.group = group.group;
    // A group's random numbers follow from its name, wherever it stands in the file.
    SplitMix64 random(options_.seed ^ fnv1a(group.group));
    std::vector<std::size_t> usable;
    for (const std::size_t answer : group.answers) {
      if (is_usable(survey_.answers[answer])) usable.push_back(answer);
    }
    summary.questions = usable.size();
    summary.without_top = group.answers.size() - usable.size();
    const std::set<std::size_t> train = training_answers(usable, random);
    std::vector<MadePairs> made;
    for (const std::size_t answer : usable) {
      made.push_back({answer, train.contains(answer), pairs_of(survey_.answers[answer], group_id, random)});
      count(made.back(), summary);
    }
    check_both_files(summary);
    return made;
  }

 private:
  std::set<std::size_t> training_answers(std::vector<std::size_t> usable, SplitMix64& random) const {
    if (options_.split == SurveySplit::kByQuestion) {
      std::erase_if(usable, [&](std::size_t answer) {
        return !training_keys_.contains(survey_.questions[survey_.answers[answer].question].key);
      });
      return {usable.begin(), usable.end()};
    }
    random.shuffle(usable);
    const auto end = usable.begin() + static_cast<std::ptrdiff_t>(train_count(usable.size(), options_.train_fraction));
    return {usable.begin(), end};
  }

  bool is_usable(const SurveyAnswer& answer) const {
    if (options_.labels == SurveyLabels::kSampled) return answer.shares_O.size() > 1;
    return top_option(answer.shares_O).has_value();
  }

  std::vector<PreferencePair> pairs_of(const SurveyAnswer& answer, std::uint32_t group_id, SplitMix64& random) const {
    if (options_.labels == SurveyLabels::kSampled) return drawn_pairs(answer, group_id, random);
    const std::size_t chosen = *top_option(answer.shares_O);
    std::vector<std::size_t> others(answer.shares_O.size());
    std::iota(others.begin(), others.end(), 0);
    std::erase(others, chosen);
    random.shuffle(others);
    others.resize(std::min(others.size(), options_.pairs_per_question));
    const std::string prompt =
        survey_prompt(survey_.questions[answer.question], answer.group, options_.group_in_prompt);
    std::vector<PreferencePair> pairs;
    for (const std::size_t rejected : others) {
      pairs.push_back({prompt, letter(chosen), letter(rejected), {{.group = group_id, .weight = 1}}});
    }
    return pairs;
  }

  std::vector<PreferencePair> drawn_pairs(const SurveyAnswer& answer, std::uint32_t group_id,
                                          SplitMix64& random) const {
    const std::vector<double>& shares_O = answer.shares_O;
    const std::string prompt =
        survey_prompt(survey_.questions[answer.question], answer.group, options_.group_in_prompt);
    std::vector<PreferencePair> pairs;
    for (std::size_t draw = 0; draw < options_.draws; ++draw) {
      const std::size_t chosen = drawn_option(shares_O, random);
      const auto other = static_cast<std::size_t>(random.below(shares_O.size() - 1));
      const std::size_t rejected = other < chosen ? other : other + 1;
      pairs.push_back({.prompt = prompt,
                       .chosen = letter(chosen),
                       .rejected = letter(rejected),
                       .memberships = {{.group = group_id, .weight = 1}},
                       .chosen_share = shares_O[chosen] / (shares_O[chosen] + shares_O[rejected])});
    }
    return pairs;
  }

  void count(const MadePairs& made, SurveyGroupSummary& summary) const {
    (made.train ? summary.train_pairs : summary.validation_pairs) += made.pairs.size();
    const SurveyAnswer& answer = survey_.answers[made.answer];
    const auto overall = overall_top_[answer.question];
    if (!overall) return;
    ++summary.compared;
    if (top_option(answer.shares_O) != overall) ++summary.differing;
  }

  static void check_both_files(const SurveyGroupSummary& summary) {
    if (summary.train_pairs > 0 && summary.validation_pairs > 0) return;
    throw std::invalid_argument("group " + quoted_text(summary.group) + " has " + std::to_string(summary.questions) +
                                " questions with a most voted option, which leaves no pair for " +
                                (summary.train_pairs == 0 ? "training" : "validation") +
                                "; leave the group out, or use another split, seed or train fraction");
  }

  const Survey& survey_;
  const SurveyPairOptions& options_;
  std::vector<std::optional<std::size_t>> overall_top_;  // by question
  std::set<std::string> training_keys_;                  // by question only
};

}  // namespace

std::string survey_prompt(const SurveyQuestion& question, const std::string& group, GroupInPrompt group_in_prompt) {
  std::string prompt = "Opinion of people";
  if (group_in_prompt == GroupInPrompt::kNamed) prompt.append(" in ").append(group);
  prompt.append(" on: ").append(question.text).append("\nPlease select the best response:");
  for (std::size_t o = 0; o < question.options.size(); ++o) {
    prompt.append("\n").append(letter(o)).append(". ").append(question.options[o]);
  }
  return prompt;
}

SurveyPairs make_survey_pairs(const Survey& survey, const SurveyPairOptions& options) {
  check(options);
  std::vector<GroupAnswers> groups = answers_by_group(survey);
  keep_wanted(groups, options.groups);
  PairMaker maker(survey, options);
  SurveyPairs result;
  std::vector<PairMaker::MadePairs> made;
  for (const GroupAnswers& group : groups) {
    const auto group_id = static_cast<std::uint32_t>(result.groups.size());
    for (auto& pairs : maker.make(group, group_id, result.groups.emplace_back())) made.push_back(std::move(pairs));
    result.train.group_names.push_back(group.group);
  }
  result.validation.group_names = result.train.group_names;
  std::sort(made.begin(), made.end(), [](const auto& a, const auto& b) { return a.answer < b.answer; });
  for (auto& part : made) {
    auto& pairs = (part.train ? result.train : result.validation).pairs;
    pairs.insert(pairs.end(), std::make_move_iterator(part.pairs.begin()), std::make_move_iterator(part.pairs.end()));
  }
  return result;
}

}  // namespace equipoise
