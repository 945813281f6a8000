#include "client/reproduce/opinion_tables.h"

#include "client/plot/svg_writer.h"
#include "client/reproduce/report_markup.h"
#include "client/reproduce/significant_text.h"

namespace equipoise::reproduce {
namespace {

std::string mean_and_error(const std::vector<double>& values) {
  const Estimate over_seeds = estimate(values);
  return significant_text(over_seeds.mean) + "\u00a0±\u00a0" + significant_text(over_seeds.standard_error, 2);
}

std::string number_cell(const std::string& text) { return element("td", text, "number"); }
std::string number_head(const std::string& text) { return element("th", text, "number"); }

std::string estimator_text(const RobustSettings& settings) {
  switch (settings.estimator) {
    case Estimator::kBatchMean:
      return "batch_mean";
    case Estimator::kDatasetScaled:
      return "dataset_scaled";
    case Estimator::kUnbiased:
      return "unbiased";
    case Estimator::kBatchSum:
      return "batch_sum";
  }
  return "";
}

std::string weights_text(const RobustSettings& settings) {
  switch (settings.mode) {
    case RobustMode::kNone:
      return "each pair alike";
    case RobustMode::kImportance:
      return "fixed, ∝ 1/N<sub>g</sub> (" + estimator_text(settings) + ")";
    case RobustMode::kGroupRobust:
      return "mirror ascent (" + estimator_text(settings) + ")";
  }
  return "";
}

std::string length_text(const TrainingConfig& training) {
  if (training.max_steps) return std::to_string(*training.max_steps) + " steps";
  return significant_text(training.epochs) + " epochs";
}

std::string settings_row(const std::string& name, const v1::JobSpec& spec) {
  const JobConfig job = opinion_job_config(spec);
  const bool sft = job.loss.type == LossType::kSft;
  const bool robust = job.robust.settings.mode == RobustMode::kGroupRobust;
  return element("tr", element("th", name) + number_cell(sft ? "–" : significant_text(job.loss.beta)) +
                           number_cell(significant_text(job.optimizer.learning_rate)) +
                           number_cell(std::to_string(job.optimizer.warmup_steps)) +
                           element("td", weights_text(job.robust.settings)) +
                           number_cell(robust ? significant_text(job.robust.settings.step_size) : "–") +
                           number_cell(std::to_string(job.training.global_batch_size)) +
                           number_cell(length_text(job.training)));
}

}  // namespace

std::string final_numbers_table(const OpinionResults& results) {
  const std::string head = element("th", "Method") + number_head("max group loss") +
                           number_head("min group reward accuracy") +
                           number_head("min group log-prob accuracy" + element("span", "start → end", "note")) +
                           number_head("mean of the group losses") + number_head("largest − smallest group loss");
  std::string body;
  for (const Method method : kOpinionMethods) {
    const std::vector<OpinionRun>& runs = results.of(method);
    body += element("tr", element("th", std::string(method_name(method))) +
                              number_cell(mean_and_error(final_values(runs, max_group_loss))) +
                              number_cell(mean_and_error(final_values(runs, min_reward_accuracy))) +
                              number_cell(significant_text(mean(start_values(runs, min_log_prob_accuracy))) + " → " +
                                          mean_and_error(final_values(runs, min_log_prob_accuracy))) +
                              number_cell(mean_and_error(final_values(runs, mean_group_loss))) +
                              number_cell(mean_and_error(final_values(runs, group_loss_spread))));
  }
  return wide_table(head, body);
}

std::string group_table(const OpinionResults& results, Family family) {
  const std::vector<Method> methods{plain_method(family), importance_method(family), robust_method(family)};
  std::string head = element("th", "Group") + number_head("pairs" + element("span", "train · validation", "note")) +
                     number_head("log-prob accuracy" + element("span", "after SFT", "note"));
  for (const Method method : methods) {
    head +=
        number_head(std::string(method_name(method)) + element("span", "loss · reward acc. · log-prob acc.", "note"));
  }
  head += number_head("final α" + element("span", std::string(method_name(robust_method(family))), "note"));
  std::string body;
  for (std::size_t g = 0; g < results.groups.size(); ++g) {
    const GroupSize& size = results.sizes_K[g];
    std::string cells = element("th", plot::escape_xml(results.groups[g]));
    cells += number_cell(std::to_string(size.train_pairs) + " · " + std::to_string(size.validation_pairs));
    cells += number_cell(significant_text(mean(start_values(results.of(methods[0]), log_prob_accuracy_of(g)))));
    for (const Method method : methods) {
      const std::vector<OpinionRun>& runs = results.of(method);
      cells += number_cell(significant_text(mean(final_values(runs, loss_of(g)))) + " · " +
                           significant_text(mean(final_values(runs, reward_accuracy_of(g)))) + " · " +
                           significant_text(mean(final_values(runs, log_prob_accuracy_of(g)))));
    }
    cells += number_cell(mean_and_error(final_weights(results.of(robust_method(family)), g)));
    body += element("tr", cells);
  }
  return wide_table(head, body);
}

std::string settings_table(const OpinionJobs& jobs) {
  const std::string head = element("th", "Job") + number_head("β") + number_head("learning rate") +
                           number_head("warm-up steps") + element("th", "group weights") + number_head("α step η") +
                           number_head("pairs a step") + number_head("length");
  std::string body = settings_row("SFT", jobs.sft);
  for (std::size_t m = 0; m < kOpinionMethods.size(); ++m) {
    body += settings_row(std::string(method_name(kOpinionMethods[m])), jobs.methods[m]);
  }
  return wide_table(head, body);
}

}  // namespace equipoise::reproduce
