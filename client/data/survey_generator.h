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
  std::size_t questions = 1176;  // in [70, 1176]
  std::size_t groups = 4;        // in [2, 4]: the minority, and the largest ones of the majority
  std::size_t divided = 0;       // below groups: so many of them, the smallest, agree on nothing
};

// Every question is about a topic of one of 7 themes. A group's stance (for or against) depends on the theme alone, how
// strongly on the topic, and which letter says so on the question's wording; 11 of 14 wordings have two options. All
// groups have the same stance on 5 themes. On the other 2, drawn by the seed, the minority, Hillcrest, takes the other
// side, so that its top answer is another one than that of the majority, Riverside, Northfield and Old Harbor. These
// were asked 100 %, 80 % and 50 % of the questions of every theme; Hillcrest 95 % of the contested themes' and 16 % of
// the others', which makes 70 % of its questions contested, but 29 % of the majority's. So the answers that the
// majority gave to contested questions are more than twice as many as Hillcrest's. The group "Overall" has everybody's
// answers, the groups counted 1, 0.6, 0.3 and 0.15. In a divided group every option has as many votes: its pairs with
// sampled labels contradict each other, and it has none with the majority's. The same options give the same survey on
// every machine. Keys are THEME_NUMBER. Throws std::invalid_argument on an option out of range.
Survey generate_survey(const GeneratedSurveyOptions& options);

}  // namespace equipoise
