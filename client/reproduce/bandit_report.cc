#include "client/reproduce/bandit_report.h"

#include <algorithm>

#include "client/plot/html_page.h"
#include "client/plot/svg_writer.h"
#include "client/reproduce/bandit_csv.h"
#include "client/reproduce/bandit_plots.h"
#include "client/reproduce/report_markup.h"
#include "client/reproduce/significant_text.h"

namespace equipoise::reproduce {
namespace {

constexpr const char* kTitle = "Group-robust preference optimisation on log-linear bandits";

std::string header(const BanditResults& results, const std::vector<Claim>& claims) {
  const ClaimCount count = count_claims(claims);
  const BanditOptions& options = results.options;
  std::string text = element("h1", kTitle);
  text += element("p",
                  "The synthetic experiments of Ramesh et al., “Group Robust Preference Optimization in Reward-free "
                  "RLHF” (NeurIPS 2024, arXiv 2405.20304), run again: three scenarios, six methods, " +
                      std::to_string(options.seeds) + " seeds. <strong>" + std::to_string(count.holding) + " of " +
                      std::to_string(count.judged) + " checks of the paper’s qualitative claims hold.</strong>",
                  "lede");
  text +=
      element("p",
              "Two groups want opposite things of 8 actions; 300 pairs to train on, 1,000 to validate with, 1,000 test "
              "states. Features: " +
                  std::string(log_linear::feature_map_name(options.features)) + ". Seeds " +
                  std::to_string(options.first_seed) + " to " + std::to_string(options.first_seed + options.seeds - 1) +
                  "; every method of a seed sees the same pairs and starts at the same θ." +
                  (options.most_iterations == 0
                       ? ""
                       : " Runs were shortened to at most " + std::to_string(options.most_iterations) + " iterations."),
              "note");
  return text;
}

std::string claims_section(const std::vector<Claim>& claims) {
  std::vector<std::string> columns;
  for (const Scenario& scenario : paper_scenarios()) columns.emplace_back(scenario.title);
  return element("h2", "What holds") +
         element(
             "p",
             "The rules are fixed in the program, whatever the numbers. Differences are paired: the same seed "
             "with both methods; ± is one standard error over seeds. “Does not hold” covers both a difference "
             "the other way and one too small to tell from chance. With even responses equal weights α = 1/2, where "
             "group-robust methods start and importance sampling stays, already count a pair of the smaller group "
             "four times as much as one of the larger: differences between the two can be small there.",
             "note") +
         claims_table(claims, columns);
}

std::string legend() {
  std::string keys;
  const auto add = [&](Method method, const std::string& text) {
    keys += element("span", plot::legend_key(method_ink(method), method_stroke(method)) + text);
  };
  add(Method::kDpo, "DPO, IPO: mean over pairs");
  add(Method::kIsDpo, "IS-: fixed weights ∝ 1/N<sub>g</sub>");
  add(Method::kGrDpo, "GR-: group-robust");
  add(Method::kGrIpoAuthors, "GR-IPO† : with the authors’ α step");
  return element("p", keys, "legend");
}

std::string training_section(const BanditResults& results) {
  std::string text = element("h2", "Training") +
                     element("p",
                             "Mean over seeds with its 95 % confidence band (Student’s t). Losses and iterations on "
                             "log axes. Whiskers of the bars are the same intervals at the last iteration.",
                             "note") +
                     legend();
  for (std::size_t s = 0; s < paper_scenarios().size(); ++s) {
    const Scenario& scenario = paper_scenarios()[s];
    const std::vector<BanditRun>& runs = results.runs[s];
    text += element("h3", std::string(scenario.title) + " (" + std::to_string(scenario.train_sizes_K[0]) + " and " +
                              std::to_string(scenario.train_sizes_K[1]) + " pairs)");
    for (const Family family : {Family::kDpo, Family::kIpo}) {
      text += figure_row(std::vector{loss_plot(runs, family), reward_error_plot(runs, family), final_bars(runs, family),
                                     alpha_plot(scenario, runs, family)},
                         "row");
    }
  }
  return text +
         element("p",
                 "† The authors’ closed-form program divides a group’s mean loss by N<sub>g</sub> once more before it "
                 "enters α, so that α moves N<sub>g</sub> times more slowly, and weighs each pair, not each group "
                 "mean, with α<sub>g</sub>. The paper’s objective asks for what is shown as GR-IPO.",
                 "note");
}

std::string trade_off_section(const BanditResults& results) {
  std::string text =
      element("h2", "Trade-off χ") +
      element("p",
              "The gradient weighs group g with (1−χ)/K + χα<sub>g</sub>: χ = 1 is the paper’s objective, χ = 0 the "
              "mean over groups. Largest and mean validation group loss at the end of GR-DPO (above) and GR-IPO "
              "(below), with 95 % confidence bands.",
              "note");
  for (const Family family : {Family::kDpo, Family::kIpo}) {
    std::vector<std::string> plots;
    for (std::size_t s = 0; s < paper_scenarios().size(); ++s) {
      plots.push_back(trade_off_plot(paper_scenarios()[s], results.runs[s], family));
    }
    text += element("h3", "GR-" + std::string(family_name(family))) + figure_row(plots, "row three");
  }
  return text;
}

std::string gap_section(const BanditResults& results) {
  std::string text =
      element("h2", "Duality gap") +
      element("p",
              "max<sub>α</sub> Σα<sub>g</sub>L<sub>g</sub>(θ̄) − min<sub>θ</sub> Σᾱ<sub>g</sub>L<sub>g</sub>(θ) at "
              "the averaged iterates θ̄ and ᾱ, on the training pairs: the maximum exactly, the minimum by Newton’s "
              "method to a relative precision of 1e-10. The dotted line falls as 1/√T from the first point, the rate "
              "that the paper’s analysis promises. GR-IPO runs to 10,000 iterations here.",
              "note");
  for (const Family family : {Family::kDpo, Family::kIpo}) {
    std::vector<std::string> plots;
    for (std::size_t s = 0; s < paper_scenarios().size(); ++s) {
      plots.push_back(gap_plot(paper_scenarios()[s], results.runs[s], family));
    }
    text += element("h3", "GR-" + std::string(family_name(family))) + figure_row(plots, "row three");
  }
  std::string head = "<th>Slope fitted to the last two decades of T</th>";
  for (const Scenario& scenario : paper_scenarios()) head += element("th", std::string(scenario.title), "number");
  std::string body;
  for (const GapMethod method : kGapMethods) {
    std::string cells = element("th", std::string(gap_method_name(method)));
    for (const std::vector<BanditRun>& runs : results.runs) {
      cells += element("td", significant_text(gap_slope(gap_series(runs, method))), "number");
    }
    body += element("tr", cells);
  }
  return text + wide_table(head, body);
}

std::string final_numbers_section(const BanditResults& results) {
  std::string head = "<th>Method</th>";
  for (const Scenario& scenario : paper_scenarios()) {
    head += element("th", std::string(scenario.title) + element("span", "max group loss · max reward error", "note"));
  }
  std::string body;
  for (const Method method : kMethods) {
    std::string cells = element("th", std::string(method_name(method)));
    for (const std::vector<BanditRun>& runs : results.runs) {
      const Estimate loss = estimate(final_values(runs, method, max_validation_loss));
      const Estimate error = estimate(final_values(runs, method, max_reward_error));
      cells += element("td", significant_text(loss.mean) + " ± " + significant_text(loss.standard_error, 2) + " · " +
                                 significant_text(error.mean) + " ± " + significant_text(error.standard_error, 2));
    }
    body += element("tr", cells);
  }
  return element("h2", "Final numbers") + element("p", "Mean ± standard error over seeds.", "note") +
         wide_table(head, body);
}

std::string settings_section(const BanditOptions& options) {
  std::string head =
      "<th>Scenario</th><th>Methods</th><th class=\"number\">β</th><th class=\"number\">θ step</th>"
      "<th class=\"number\">α step η</th><th class=\"number\">iterations</th>";
  std::string body;
  for (const Scenario& scenario : paper_scenarios()) {
    for (const Family family : {Family::kDpo, Family::kIpo}) {
      const RunSettings run = method_settings(scenario, robust_method(family));
      const std::int64_t iterations =
          options.most_iterations == 0 ? run.iterations : std::min(run.iterations, options.most_iterations);
      const bool closed = run.engine.theta.closed_form != log_linear::ClosedForm::kOff;
      body += element(
          "tr", element("th", std::string(scenario.title)) +
                    element("td", std::string(family_name(family)) + " family") +
                    element("td", significant_text(run.engine.loss.beta), "number") +
                    element("td", closed ? "closed form" : significant_text(run.engine.theta.learning_rate), "number") +
                    element("td", significant_text(run.engine.robust.step_size), "number") +
                    element("td", std::to_string(iterations), "number"));
    }
  }
  return element("h2", "Settings") +
         element("p",
                 "The authors’ published settings; all batches are the whole data, all numbers float64. Rewards "
                 "⟨φ, r<sub>g</sub>⟩ with r<sub>0</sub> = (1, 3, 1, 3), r<sub>1</sub> = (3, 1, 3, 1); the "
                 "larger reward wins. θ starts uniform in [0, 5)<sup>4</sup>.",
                 "note") +
         wide_table(head, body) +
         element("p",
                 "The numbers are in curves.csv, summary.csv, trade_off.csv, duality_gap.csv, claims.csv and "
                 "settings.csv beside this page.",
                 "note");
}

}  // namespace

std::string bandit_report(const BanditResults& results, const std::vector<Claim>& claims) {
  return plot::html_page(kTitle, header(results, claims) + claims_section(claims) + training_section(results) +
                                     trade_off_section(results) + gap_section(results) +
                                     final_numbers_section(results) + settings_section(results.options));
}

std::vector<ReportFile> bandit_report_files(const BanditResults& results, const std::vector<Claim>& claims) {
  return {{"report.html", bandit_report(results, claims)}, {"curves.csv", curves_csv(results)},
          {"summary.csv", summary_csv(results)},           {"trade_off.csv", trade_off_csv(results)},
          {"duality_gap.csv", duality_gap_csv(results)},   {"claims.csv", claims_csv(claims)},
          {"settings.csv", settings_csv(results.options)}};
}

std::vector<std::string> bandit_report_names() {
  return {"report.html", "curves.csv", "summary.csv", "trade_off.csv", "duality_gap.csv", "claims.csv", "settings.csv"};
}

}  // namespace equipoise::reproduce
