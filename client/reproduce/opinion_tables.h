// The tables of the language-model report, as markup.
#pragma once

#include <string>

#include "client/reproduce/opinion_results.h"

namespace equipoise::reproduce {

// A row a method: the worst group's loss and accuracies, and what they cost.
std::string final_numbers_table(const OpinionResults& results);
// A row a group: its pairs, its log-prob accuracy after SFT, and how it ends under each method of the family.
std::string group_table(const OpinionResults& results, Family family);
// A row a job: SFT, then the methods.
std::string settings_table(const OpinionJobs& jobs);

}  // namespace equipoise::reproduce
