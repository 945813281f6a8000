#include "client/data/survey_generator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "client/data/survey_topics.h"
#include "common/base/split_mix64.h"

namespace equipoise {
namespace {

constexpr std::size_t kContestedThemes = 2;
constexpr std::string_view kAttribute = "AREA";

enum class Side { kMajority, kMinority };

struct Area {
  std::string_view name;
  double people;           // how much the area counts in "Overall"
  double asked_contested;  // share of the contested themes' questions
  double asked_other;      // share of the other themes'
  Side side;
};
// The minority was asked mostly what the town is divided about, and gave fewer of those answers than the majority.
constexpr std::array kAreas = {
    Area{"Riverside", 1.0, 1.0, 1.0, Side::kMajority},
    Area{"Northfield", 0.6, 0.8, 0.8, Side::kMajority},
    Area{"Old Harbor", 0.3, 0.5, 0.5, Side::kMajority},
    Area{"Hillcrest", 0.15, 0.95, 0.16, Side::kMinority},
};

// The largest ones of the majority, and the minority.
std::vector<Area> first_areas(std::size_t count) {
  std::vector<Area> areas(kAreas.begin(), kAreas.begin() + static_cast<std::ptrdiff_t>(count) - 1);
  areas.push_back(kAreas.back());
  return areas;
}

enum class Stance { kFor, kAgainst };
enum class Strength { kMild, kStrong };

// What is known before anybody is asked.
struct Town {
  std::vector<Stance> stance;                                   // by theme: what most areas think
  std::vector<std::array<Strength, kTopicsPerTheme>> strength;  // by theme and topic
  std::vector<std::size_t> contested;                           // themes
};

Town draw_town(SplitMix64& random) {
  const std::size_t themes = survey_themes().size();
  Town town;
  for (std::size_t t = 0; t < themes; ++t) {
    town.stance.push_back(t % 2 == 0 ? Stance::kFor : Stance::kAgainst);
    auto& strength = town.strength.emplace_back();
    for (Strength& topic : strength) topic = random.below(2) == 0 ? Strength::kMild : Strength::kStrong;
  }
  random.shuffle(town.stance);
  town.contested.resize(themes);
  std::iota(town.contested.begin(), town.contested.end(), 0);
  random.shuffle(town.contested);
  town.contested.resize(kContestedThemes);
  return town;
}

bool is_contested(const Town& town, std::size_t theme) {
  return std::find(town.contested.begin(), town.contested.end(), theme) != town.contested.end();
}

Stance stance_of(const Town& town, const Area& area, std::size_t theme) {
  const Stance common = town.stance[theme];
  if (area.side == Side::kMajority || !is_contested(town, theme)) return common;
  return common == Stance::kFor ? Stance::kAgainst : Stance::kFor;
}

// Position of the most voted option: the end of the scale, or the one before it where the stance is mild and the scale
// has more than three steps.
std::size_t top_position(const SurveyTemplate& wording, Stance stance, Strength strength) {
  const std::size_t size = wording.options.size();
  const std::size_t from_end = size > 3 && strength == Strength::kMild ? 1 : 0;
  const bool first_half = (stance == Stance::kFor) == (wording.order == OptionOrder::kForFirst);
  return first_half ? from_end : size - 1 - from_end;
}

// Shares that fall with the distance from the top option. Only sums and products, so that every machine agrees.
std::vector<double> draw_shares(std::size_t size, std::size_t top, SplitMix64& random) {
  constexpr std::array kFall = {1.0, 0.42, 0.22, 0.12, 0.07};
  std::vector<double> shares(size);
  for (std::size_t o = 0; o < size; ++o) {
    const std::size_t distance = o > top ? o - top : top - o;
    shares[o] = kFall.at(distance) * (0.85 + 0.3 * random.uniform());
  }
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& share : shares) share /= total;
  return shares;
}

std::vector<double> rounded(std::vector<double> shares) {
  for (double& share : shares) share = std::round(share * 1e4) / 1e4;
  return shares;
}

// A question and where it comes from.
struct Item {
  std::size_t theme, topic, wording;
};

// The same number of every theme, up to one.
std::vector<Item> draw_items(std::size_t count, SplitMix64& random) {
  std::vector<std::vector<Item>> by_theme;
  for (std::size_t theme = 0; theme < survey_themes().size(); ++theme) {
    auto& items = by_theme.emplace_back();
    for (std::size_t topic = 0; topic < kTopicsPerTheme; ++topic) {
      for (std::size_t wording = 0; wording < survey_templates().size(); ++wording) {
        items.push_back({theme, topic, wording});
      }
    }
    random.shuffle(items);
  }
  std::vector<Item> items;
  for (std::size_t i = 0; i < count; ++i) items.push_back(by_theme[i % by_theme.size()][i / by_theme.size()]);
  return items;
}

SurveyQuestion question_of(const Item& item, std::size_t number) {
  const SurveyTheme& theme = survey_themes()[item.theme];
  const SurveyTemplate& wording = survey_templates()[item.wording];
  std::string text = std::string(theme.title) + ": " + std::string(wording.text);
  text.replace(text.find("{}"), 2, theme.topics.at(item.topic));
  const std::string digits = std::to_string(number);
  return {.key = std::string(theme.key) + "_" + std::string(4 - digits.size(), '0') + digits,
          .text = std::move(text),
          .options = {wording.options.begin(), wording.options.end()}};
}

// Which questions an area was asked: its share of every theme's, drawn at random.
std::vector<bool> draw_asked(const std::vector<Item>& items, const Town& town, const Area& area, SplitMix64& random) {
  std::vector<bool> asked(items.size());
  for (std::size_t theme = 0; theme < survey_themes().size(); ++theme) {
    std::vector<std::size_t> of_theme;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i].theme == theme) of_theme.push_back(i);
    }
    random.shuffle(of_theme);
    const double share = is_contested(town, theme) ? area.asked_contested : area.asked_other;
    of_theme.resize(static_cast<std::size_t>(std::llround(share * static_cast<double>(of_theme.size()))));
    for (const std::size_t i : of_theme) asked[i] = true;
  }
  return asked;
}

void check(const GeneratedSurveyOptions& options) {
  const std::size_t most = survey_themes().size() * kTopicsPerTheme * survey_templates().size();
  if (options.questions < 70 || options.questions > most) {
    throw std::invalid_argument("questions is " + std::to_string(options.questions) + ", expected 70 to " +
                                std::to_string(most));
  }
  if (options.groups < 2 || options.groups > kAreas.size()) {
    throw std::invalid_argument("groups is " + std::to_string(options.groups) + ", expected 2 to " +
                                std::to_string(kAreas.size()));
  }
  if (options.divided >= options.groups) {
    throw std::invalid_argument("divided is " + std::to_string(options.divided) + ", expected less than the " +
                                std::to_string(options.groups) + " groups");
  }
}

// Draws every area's answers to questions and keeps those that were given.
class AnswerDrawer {
 public:
  // The last `divided` areas agree on nothing.
  AnswerDrawer(std::vector<Item> items, std::vector<Area> areas, std::size_t divided, SplitMix64& random)
      : town_(draw_town(random)),
        items_(std::move(items)),
        areas_(std::move(areas)),
        first_divided_(areas_.size() - divided),
        random_(random) {
    for (const Area& area : areas_) asked_.push_back(draw_asked(items_, town_, area, random_));
  }

  // "Overall" first, as everybody's opinion needs the areas that were not asked too.
  std::vector<SurveyAnswer> draw(std::size_t question) {
    std::vector<double> everybody(survey_templates()[items_[question].wording].options.size());
    double people = 0;
    std::vector<SurveyAnswer> answers(1);
    for (std::size_t a = 0; a < areas_.size(); ++a) {
      std::vector<double> shares = draw_shares(everybody.size(), top_of(question, areas_[a]), random_);
      if (a >= first_divided_) shares.assign(shares.size(), 1 / static_cast<double>(shares.size()));
      for (std::size_t o = 0; o < shares.size(); ++o) everybody[o] += areas_[a].people * shares[o];
      people += areas_[a].people;
      if (!asked_[a][question]) continue;
      answers.push_back({question, std::string(kAttribute), std::string(areas_[a].name), rounded(std::move(shares))});
    }
    for (double& share : everybody) share /= people;
    const std::string overall(kOverallGroup);
    answers.front() = {question, overall, overall, rounded(std::move(everybody))};
    return answers;
  }

 private:
  std::size_t top_of(std::size_t question, const Area& area) const {
    const Item& item = items_[question];
    return top_position(survey_templates()[item.wording], stance_of(town_, area, item.theme),
                        town_.strength[item.theme].at(item.topic));
  }

  Town town_;
  std::vector<Item> items_;
  std::vector<Area> areas_;
  std::size_t first_divided_;
  SplitMix64& random_;
  std::vector<std::vector<bool>> asked_;  // by area and question
};

}  // namespace

Survey generate_survey(const GeneratedSurveyOptions& options) {
  check(options);
  SplitMix64 random(options.seed);
  const std::vector<Item> items = draw_items(options.questions, random);
  AnswerDrawer drawer(items, first_areas(options.groups), options.divided, random);
  Survey survey;
  for (std::size_t q = 0; q < items.size(); ++q) {
    survey.questions.push_back(question_of(items[q], q + 1));
    for (SurveyAnswer& answer : drawer.draw(q)) survey.answers.push_back(std::move(answer));
  }
  return survey;
}

}  // namespace equipoise
