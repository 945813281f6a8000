// The pictures of the language-model report: one family each, in the paper's order.
#pragma once

#include <string>

#include "client/plot/palette.h"
#include "client/reproduce/opinion_results.h"

namespace equipoise::reproduce {

// Inks and strokes of groups repeat after 7 and 28.
plot::Ink group_ink(std::size_t group);
plot::Stroke group_stroke(std::size_t group);

// Over training, a curve a method.
std::string opinion_loss_plot(const OpinionResults& results, Family family);
std::string opinion_reward_accuracy_plot(const OpinionResults& results, Family family);
std::string opinion_log_prob_accuracy_plot(const OpinionResults& results, Family family);
// alpha of the group-robust method, a curve a group.
std::string opinion_alpha_plot(const OpinionResults& results, Family family);

// At the end, a bar a method: max group loss, min group reward accuracy.
std::string opinion_final_bars(const OpinionResults& results, Family family);
// A bar a group: losses at the end under each method; log-prob accuracies before training and at the end.
std::string opinion_group_loss_bars(const OpinionResults& results, Family family);
std::string opinion_log_prob_bars(const OpinionResults& results, Family family);

}  // namespace equipoise::reproduce
