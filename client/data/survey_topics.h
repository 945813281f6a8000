// What generated surveys ask about, and how.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace equipoise {

inline constexpr std::size_t kTopicsPerTheme = 6;

struct SurveyTheme {
  std::string_view key;
  std::array<std::string_view, kTopicsPerTheme> topics;  // each fits into every template
};

enum class OptionOrder { kForFirst, kAgainstFirst };

struct SurveyTemplate {
  std::string_view text;  // "{}" is the topic
  std::span<const std::string_view> options;
  OptionOrder order;  // whether the first option is the one most for the topic, or most against
};

std::span<const SurveyTheme> survey_themes();
std::span<const SurveyTemplate> survey_templates();

}  // namespace equipoise
