#include "client/reproduce/opinion_report.h"

#include <array>

#include "client/plot/html_page.h"
#include "client/plot/svg_writer.h"
#include "client/reproduce/opinion_csv.h"
#include "client/reproduce/opinion_plots.h"
#include "client/reproduce/opinion_tables.h"
#include "client/reproduce/report_markup.h"

namespace equipoise::reproduce {
namespace {

using plot::escape_xml;

constexpr const char* kTitle = "Group-robust preference optimisation of a language model on opinions";

std::string seeds_text(const OpinionResults& results) {
  const std::vector<OpinionRun>& runs = results.sft;
  return std::to_string(runs.size()) + " seeds (" + std::to_string(runs.front().seed) + " to " +
         std::to_string(runs.back().seed) + ")";
}

std::string header(const OpinionResults& results, const std::vector<Claim>& claims) {
  const ClaimCount count = count_claims(claims);
  return element("h1", kTitle) +
         element("p",
                 "The language-model experiment of Ramesh et al., “Group Robust Preference Optimization in Reward-free "
                 "RLHF” (NeurIPS 2024, arXiv 2405.20304), run again on " +
                     escape_xml(results.survey) + " with " + escape_xml(results.model) +
                     ": supervised fine-tuning, then six methods from its model, " + seeds_text(results) +
                     ". <strong>" + std::to_string(count.holding) + " of " + std::to_string(count.judged) +
                     " checks of the paper’s qualitative claims hold.</strong>",
                 "lede") +
         element(
             "p",
             "The chosen answer of a pair is the letter of a group’s most voted option, the rejected one another "
             "letter at random. A seed draws the split into training and validation pairs, the rejected answers and "
             "the order of the pairs; all methods of a seed see the same pairs and start at the same fine-tuned "
             "model, which is also the reference. Everything is measured on validation pairs.",
             "note");
}

std::string claims_section(const std::vector<Claim>& claims) {
  const std::vector<std::string> columns{"DPO family", "IPO family"};
  return element("h2", "What holds") +
         element("p",
                 "The rules are fixed in the program, whatever the numbers. Differences are paired: the same seed with "
                 "both methods; ± is one standard error over seeds. “Does not hold” covers both a difference the other "
                 "way and one too small to tell from chance. The paper reports IPO and GR-IPO on Gemma-2B; the DPO "
                 "family is judged by the same rules.",
                 "note") +
         claims_table(claims, columns);
}

std::string legend_item(plot::Ink ink, plot::Stroke stroke, const std::string& markup) {
  return element("span", plot::legend_key(ink, stroke) + markup);
}

std::string method_legend() {
  const auto item = [](Method method, const char* markup) {
    return legend_item(method_ink(method), method_stroke(method), markup);
  };
  return element("p",
                 item(Method::kDpo, "DPO, IPO: mean over pairs") +
                     item(Method::kIsDpo, "IS-: fixed weights ∝ 1/N<sub>g</sub>") +
                     item(Method::kGrDpo, "GR-: group-robust"),
                 "legend");
}

std::string group_legend(const OpinionResults& results) {
  std::string items;
  for (std::size_t g = 0; g < results.groups.size(); ++g) {
    items += legend_item(group_ink(g), group_stroke(g), escape_xml(results.groups[g]));
  }
  return element("p", items, "legend");
}

std::string training_section(const OpinionResults& results) {
  std::string text = element("h2", "Training") +
                     element("p",
                             "Mean over seeds with its 95 % confidence band (Student’s t). Reward accuracy: share of "
                             "pairs whose chosen reward β(log π − log π<sub>ref</sub>) is above the rejected one’s. "
                             "Log-prob accuracy: share of pairs whose chosen log π is.",
                             "note") +
                     method_legend() + group_legend(results);
  for (const Family family : kFamilies) {
    const std::array plots{opinion_loss_plot(results, family), opinion_reward_accuracy_plot(results, family),
                           opinion_log_prob_accuracy_plot(results, family), opinion_alpha_plot(results, family)};
    text += element("h3", std::string(family_name(family)) + " family") + figure_row(plots, "row");
  }
  return text;
}

std::string end_section(const OpinionResults& results) {
  std::string text = element("h2", "At the end of training") +
                     element("p", "Whiskers are 95 % confidence intervals over seeds (Student’s t).", "note") +
                     group_legend(results);
  for (const Family family : kFamilies) {
    const std::array plots{opinion_final_bars(results, family), opinion_group_loss_bars(results, family),
                           opinion_log_prob_bars(results, family)};
    text += element("h3", std::string(family_name(family)) + " family") + figure_row(plots, "row three");
  }
  return text;
}

std::string final_numbers_section(const OpinionResults& results) {
  std::string text = element("h2", "Final numbers") +
                     element("p",
                             "Mean ± standard error over seeds. Losses of the two families are not comparable: DPO’s "
                             "begins at log 2, IPO’s at 1/(4β²).",
                             "note") +
                     final_numbers_table(results);
  for (const Family family : kFamilies) {
    text += element("h3", "By group, " + std::string(family_name(family)) + " family") + group_table(results, family);
  }
  return text;
}

std::string settings_section(const OpinionResults& results) {
  return element("h2", "Settings") + settings_table(results.jobs) +
         element("p",
                 "The numbers are in evaluations.csv, weights.csv, summary.csv and claims.csv beside this page; each "
                 "run’s own folder has its job.yaml and metrics.jsonl.",
                 "note");
}

}  // namespace

std::string opinion_report(const OpinionResults& results, const std::vector<Claim>& claims) {
  return plot::html_page(kTitle, header(results, claims) + claims_section(claims) + training_section(results) +
                                     end_section(results) + final_numbers_section(results) + settings_section(results));
}

std::vector<ReportFile> opinion_report_files(const OpinionResults& results, const std::vector<Claim>& claims) {
  return {{"report.html", opinion_report(results, claims)},
          {"evaluations.csv", opinion_evaluations_csv(results)},
          {"weights.csv", opinion_weights_csv(results)},
          {"summary.csv", opinion_summary_csv(results)},
          {"claims.csv", opinion_claims_csv(claims)}};
}

std::vector<std::string> opinion_report_names() {
  return {"report.html", "evaluations.csv", "weights.csv", "summary.csv", "claims.csv"};
}

}  // namespace equipoise::reproduce
