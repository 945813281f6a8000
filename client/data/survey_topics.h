// What generated surveys ask about, and how.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace equipoise {

inline constexpr std::size_t kTopicsPerTheme = 12;

struct SurveyTheme {
  std::string_view key;
  std::string_view title;  // every question begins with it, as those of a survey's section do
  std::array<std::string_view, kTopicsPerTheme> topics;  // each fits into every template
};

enum class OptionOrder { kForFirst, kAgainstFirst };

// Most have two options: there the pairs of two groups that disagree are each other's opposites. With more options
// another rejected answer often lets both have their way.
struct SurveyTemplate {
  std::string_view text;  // "{}" is the topic
  std::span<const std::string_view> options;
  OptionOrder order;  // whether the first option is the one most for the topic, or most against
};

std::span<const SurveyTheme> survey_themes();
std::span<const SurveyTemplate> survey_templates();

}  // namespace equipoise
