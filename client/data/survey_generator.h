// A survey of our own making, for where there is no real one: readable questions about town life, and groups whose
// preferences are known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "client/data/survey.h"

namespace equipoise {

struct GeneratedSurveyOptions {
  std::uint64_t seed = 1;
  std::size_t questions = 420;  // in [70, 504]
  std::size_t groups = 4;       // in [2, 4]: the largest ones
  std::size_t divided = 0;      // below groups: so many of them, the smallest, agree on nothing
};

// Every question is about a topic of one of 7 themes. A group's stance (for or against) depends on the theme alone, how
// strongly on the topic, and which letter says so on the question's wording. On 3 of the themes some groups take the
// other side: any two groups differ in the top answer of about 2/7 of their common questions. Groups were asked 100 %,
// 60 %, 30 % and 15 % of the questions, alike in every theme. The group "Overall" has everybody's answers, each group
// counted by how much it was asked. In a divided group every option has as many votes: its pairs with sampled labels
// contradict each other, and it has none with the majority's. The same options give the same survey on every machine.
// Keys are THEME_NUMBER. Throws std::invalid_argument on an option out of range.
Survey generate_survey(const GeneratedSurveyOptions& options);

}  // namespace equipoise
