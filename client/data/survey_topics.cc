#include "client/data/survey_topics.h"

namespace equipoise {
namespace {

constexpr std::array kThemes = {
    SurveyTheme{"TRANSPORT",
                "Transport",
                {"new tram lines", "more bicycle lanes", "free buses on weekends", "night trains to the coast",
                 "speed cameras near schools", "wider sidewalks downtown", "a second bridge over the river",
                 "electric buses", "a ferry across the bay", "fewer parking spaces downtown", "a bus every ten minutes",
                 "shared cars in every street"}},
    SurveyTheme{"NATURE",
                "Nature",
                {"trees along the main roads", "a wind farm on the hill", "the protection of wetlands",
                 "a ban on garden pesticides", "community composting", "solar panels on public roofs",
                 "a forest school", "wildflowers on the verges", "the return of beavers", "darker streets at night",
                 "a deposit on bottles", "rain gardens between houses"}},
    SurveyTheme{"TECHNOLOGY",
                "Technology",
                {"self-checkout machines in shops", "delivery robots on the sidewalks", "doctor visits by video call",
                 "wireless internet in parks", "computers that grade homework", "electronic voting at town meetings",
                 "fingerprint locks at school", "online town hall services", "cameras that read number plates",
                 "tablets for every pupil", "payment by telephone on buses", "drones that bring parcels"}},
    SurveyTheme{"EDUCATION",
                "Education",
                {"evening classes for adults", "smaller school classes", "cooking lessons in schools",
                 "a longer school day", "school uniforms", "free music lessons for children", "a later start of school",
                 "swimming lessons for all pupils", "homework clubs", "a second foreign language", "school gardens",
                 "summer courses for teenagers"}},
    SurveyTheme{"WORK",
                "Work",
                {"a four-day working week", "working from home", "the opening of shops on Sundays",
                 "more apprenticeships in crafts", "higher pay for care workers", "longer parental leave",
                 "a hall for start-up companies", "shorter lunch breaks", "a weekly market in the square",
                 "free childcare for shift workers", "a local minimum wage", "job fairs for pensioners"}},
    SurveyTheme{"CULTURE",
                "Culture",
                {"street festivals in summer", "a new public library", "late opening hours of museums",
                 "paintings on empty walls", "open-air cinema evenings", "a theater for young people",
                 "a town orchestra", "free museum days", "a carnival parade", "a house for local history",
                 "concerts in churches", "a prize for young writers"}},
    SurveyTheme{"HEALTH",
                "Health",
                {"a tax on sugary drinks", "free gym passes for seniors", "smoke-free parks", "a new walk-in clinic",
                 "calorie labels on menus", "free vaccination days", "drinking fountains in the streets",
                 "a running track by the lake", "healthy meals in canteens", "a night pharmacy",
                 "first-aid courses for everybody", "quiet hours at noon"}},
};

constexpr std::string_view kFavor[] = {"Favor", "Oppose"};
constexpr std::string_view kVote[] = {"For", "Against"};
constexpr std::string_view kBetter[] = {"Better", "Worse"};
constexpr std::string_view kMoney[] = {"Less money", "More money"};
constexpr std::string_view kWorry[] = {"Worried", "Not worried"};
constexpr std::string_view kFamilies[] = {"Bad", "Good"};
constexpr std::string_view kTaxes[] = {"No", "Yes"};
constexpr std::string_view kPleased[] = {"Pleased", "Upset"};
constexpr std::string_view kBenefit[] = {"The risks", "The benefits"};
constexpr std::string_view kSpeak[] = {"I would", "I would not"};
constexpr std::string_view kCouncil[] = {"It should not", "It should"};
constexpr std::string_view kThing[] = {"A bad thing", "Neither good nor bad", "A good thing"};
constexpr std::string_view kPace[] = {"As soon as possible", "Some time later", "Never"};
constexpr std::string_view kImportance[] = {"A great deal", "A fair amount", "Not much", "None at all"};

constexpr SurveyTemplate kTemplates[] = {
    {"Do you favor or oppose {} in your town?", kFavor, OptionOrder::kForFirst},
    {"If there were a vote on {} next Sunday, would you vote for or against?", kVote, OptionOrder::kForFirst},
    {"Would {} make life in your area better or worse?", kBetter, OptionOrder::kForFirst},
    {"Should your town spend more or less money on {}?", kMoney, OptionOrder::kAgainstFirst},
    {"If your town decided on {} tomorrow, would you be worried?", kWorry, OptionOrder::kAgainstFirst},
    {"Thinking about the next ten years, would {} be good or bad for families?", kFamilies, OptionOrder::kAgainstFirst},
    {"Would you accept slightly higher local taxes to pay for {}?", kTaxes, OptionOrder::kAgainstFirst},
    {"Would your closest friends be pleased or upset about {}?", kPleased, OptionOrder::kForFirst},
    {"Weighing the benefits and the risks of {}, which are greater?", kBenefit, OptionOrder::kAgainstFirst},
    {"Would you speak up for {} at a public meeting?", kSpeak, OptionOrder::kForFirst},
    {"Should the town council act on {} this year?", kCouncil, OptionOrder::kAgainstFirst},
    {"All in all, what do you think of {}?", kThing, OptionOrder::kAgainstFirst},
    {"How soon, if ever, should your town council act on {}?", kPace, OptionOrder::kForFirst},
    {"When you think about what your town needs, how much importance do you give to {}?", kImportance,
     OptionOrder::kForFirst},
};

}  // namespace

std::span<const SurveyTheme> survey_themes() { return kThemes; }
std::span<const SurveyTemplate> survey_templates() { return kTemplates; }

}  // namespace equipoise
