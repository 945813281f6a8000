#include "client/data/survey_topics.h"

namespace equipoise {
namespace {

constexpr std::array kThemes = {
    SurveyTheme{"TRANSPORT",
                {"new tram lines", "more bicycle lanes", "free buses on weekends", "night trains to the coast",
                 "speed cameras near schools", "wider sidewalks downtown"}},
    SurveyTheme{"NATURE",
                {"trees along the main roads", "a wind farm on the hill", "the protection of wetlands",
                 "a ban on garden pesticides", "community composting", "solar panels on public roofs"}},
    SurveyTheme{"TECHNOLOGY",
                {"self-checkout machines in shops", "delivery robots on the sidewalks", "doctor visits by video call",
                 "wireless internet in parks", "computers that grade homework", "electronic voting at town meetings"}},
    SurveyTheme{"EDUCATION",
                {"evening classes for adults", "smaller school classes", "cooking lessons in schools",
                 "a longer school day", "school uniforms", "free music lessons for children"}},
    SurveyTheme{"WORK",
                {"a four-day working week", "working from home", "the opening of shops on Sundays",
                 "more apprenticeships in crafts", "higher pay for care workers", "longer parental leave"}},
    SurveyTheme{"CULTURE",
                {"street festivals in summer", "a new public library", "late opening hours of museums",
                 "paintings on empty walls", "open-air cinema evenings", "a theater for young people"}},
    SurveyTheme{"HEALTH",
                {"a tax on sugary drinks", "free gym passes for seniors", "smoke-free parks", "a new walk-in clinic",
                 "calorie labels on menus", "free vaccination days"}},
};

constexpr std::string_view kFavor[] = {"Strongly favor", "Somewhat favor", "Somewhat oppose", "Strongly oppose"};
constexpr std::string_view kImportance[] = {"A great deal", "A fair amount", "Not much", "None at all"};
constexpr std::string_view kBetter[] = {"Much better", "A little better", "No different", "A little worse",
                                        "Much worse"};
constexpr std::string_view kMoney[] = {"A lot less", "A little less", "About the same", "A little more", "A lot more"};
constexpr std::string_view kWorry[] = {"Very worried", "Somewhat worried", "Not too worried", "Not at all worried"};
constexpr std::string_view kVote[] = {"For", "Against"};
constexpr std::string_view kThing[] = {"A bad thing", "Neither good nor bad", "A good thing"};
constexpr std::string_view kPace[] = {"As soon as possible", "Some time later", "Never"};
constexpr std::string_view kHowOften[] = {"Often", "Sometimes", "Rarely", "Never"};
constexpr std::string_view kCertain[] = {"Definitely not", "Probably not", "Probably", "Definitely"};
constexpr std::string_view kPleased[] = {"Very pleased", "Somewhat pleased", "Somewhat upset", "Very upset"};
constexpr std::string_view kBenefit[] = {"The risks are far greater", "The risks are somewhat greater",
                                         "The benefits are somewhat greater", "The benefits are far greater"};

constexpr SurveyTemplate kTemplates[] = {
    {"Do you favor or oppose {} in your town?", kFavor, OptionOrder::kForFirst},
    {"When you think about what your town needs, how much importance do you give to {}?", kImportance,
     OptionOrder::kForFirst},
    {"Would {} make life in your area better or worse?", kBetter, OptionOrder::kForFirst},
    {"Should your town spend more or less money on {}?", kMoney, OptionOrder::kAgainstFirst},
    {"If your town decided on {} tomorrow, how worried would you be?", kWorry, OptionOrder::kAgainstFirst},
    {"If there were a vote on {} next Sunday, would you vote for or against?", kVote, OptionOrder::kForFirst},
    {"Thinking about the next ten years, would {} be a good thing or a bad thing for families?", kThing,
     OptionOrder::kAgainstFirst},
    {"How soon, if ever, should your town council act on {}?", kPace, OptionOrder::kForFirst},
    {"How often would you speak up for {} at a public meeting?", kHowOften, OptionOrder::kForFirst},
    {"Would you accept slightly higher local taxes to pay for {}?", kCertain, OptionOrder::kAgainstFirst},
    {"Would your closest friends be pleased or upset about {}?", kPleased, OptionOrder::kForFirst},
    {"Weighing the benefits and the risks of {}, which are greater?", kBenefit, OptionOrder::kAgainstFirst},
};

}  // namespace

std::span<const SurveyTheme> survey_themes() { return kThemes; }
std::span<const SurveyTemplate> survey_templates() { return kTemplates; }

}  // namespace equipoise
