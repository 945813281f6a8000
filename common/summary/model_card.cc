#include "common/summary/model_card.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <string_view>
#include <vector>

#include "common/base/message_text.h"
#include "common/robust/worst_group.h"
#include "common/summary/base_model.h"
#include "common/summary/plain_text.h"

namespace equipoise {
namespace {

constexpr std::size_t kMostCardGroups = 64;
constexpr const char* kPaper = "[arXiv 2405.20304](https://arxiv.org/abs/2405.20304)";

std::string figure(std::optional<double> value, int digits) {
  if (!value) return "–";
  if (std::isnan(*value)) return "not finite";
  std::array<char, 64> text{};
  const bool is_plain = *value == 0 || (std::abs(*value) >= 1e-3 && std::abs(*value) < 1e6);
  std::snprintf(text.data(), text.size(), is_plain ? "%.*f" : "%.*e", is_plain ? digits : 2, *value);
  return text.data();
}

std::string figure(const SummaryMean& mean, int digits) {
  return figure(mean.value, digits) + (mean.error ? " ± " + figure(mean.error, digits) : "");
}

std::string count_figure(std::optional<double> count) {
  if (!count) return "–";
  return std::floor(*count) == *count && std::abs(*count) < 1e15 ? std::to_string(static_cast<long long>(*count))
                                                                 : figure(count, 1);
}

struct MethodName {
  std::string tag;   // "dpo"
  std::string name;  // "group-robust DPO (GR-DPO)"
};

MethodName method_of(const v1::JobSpec& job) {
  std::string loss = "dpo", shown = "DPO";
  switch (job.loss().type()) {
    case v1::LOSS_TYPE_IPO:
      loss = "ipo", shown = "IPO";
      break;
    case v1::LOSS_TYPE_SFT:
      loss = "sft", shown = "SFT";
      break;
    case v1::LOSS_TYPE_HINGE:
      loss = "hinge", shown = "hinge preference optimisation";
      break;
    case v1::LOSS_TYPE_ROBUST:
      loss = "dpo", shown = "robust DPO";
      break;
    default:
      break;
  }
  if (job.robust().mode() == v1::ROBUST_MODE_GROUP_ROBUST) {
    const bool has_short_name = shown == "DPO" || shown == "IPO";
    return {loss, "group-robust " + shown + (has_short_name ? " (GR-" + shown + ")" : "")};
  }
  if (job.robust().mode() == v1::ROBUST_MODE_IMPORTANCE) return {loss, "importance-weighted " + shown};
  return {loss, shown};
}

bool learns_weights(const v1::JobSpec& job) { return job.robust().mode() == v1::ROBUST_MODE_GROUP_ROBUST; }

bool is_adapter(const v1::JobSpec& job) { return job.model().has_lora() || job.model().has_adapter(); }

bool is_language_model(const v1::JobSpec& job) { return !job.has_policy(); }

std::string last_part(const std::string& path) { return std::filesystem::path(path).filename().string(); }

std::vector<std::string> names_of_files(const std::string& one, const auto& several) {
  std::vector<std::string> names;
  if (!one.empty()) names.push_back(last_part(one));
  for (const v1::DataFileSpec& file : several) names.push_back(last_part(file.path()));
  return names;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 8); ++i) {
    text += text.empty() ? "" : ", ";
    text += markdown_line(names[i]);
  }
  if (names.size() > 8) text += " and " + std::to_string(names.size() - 8) + " more";
  return text;
}

// The lines of the metadata's model-index, where there is a result that it can hold.
std::string model_index(const RunSummary& summary, const std::string& name) {
  if (!summary.after) return "";
  const SummaryEvaluation& after = *summary.after;
  const auto worst = after.groups.find(after.worst());
  const auto validation = names_of_files(summary.job.data().validation(), summary.job.data().validation_files());
  std::string metrics;
  const auto add = [&metrics](std::string_view type, std::string_view shown, std::optional<double> value) {
    if (!value || !std::isfinite(*value)) return;
    metrics += "    - type: ";
    metrics += type;
    metrics += "\n      name: ";
    metrics += yaml_scalar(shown);
    metrics += "\n      value: " + number_text(*value) + "\n";
  };
  if (worst != after.groups.end()) add("worst_group_loss", "Loss of the worst group", worst->second.loss.value);
  add("worst_group_accuracy", "Lowest reward accuracy of a group", after.lowest_accuracy().value);
  add("loss", "Mean loss", after.loss.value);
  add("accuracy", "Reward accuracy", after.accuracy.value);
  if (metrics.empty()) return "";
  return "model-index:\n- name: " + yaml_scalar(name) +
         "\n  results:\n  - task:\n      type: " + (is_language_model(summary.job) ? "text-generation" : "other") +
         "\n      name: Preference optimisation\n    dataset:\n"
         "      type: preference-pairs\n      name: " +
         yaml_scalar(validation.empty() ? "validation pairs" : validation.front()) + "\n    metrics:\n" + metrics;
}

std::string metadata(const RunSummary& summary, const BaseModel& base, const std::string& name) {
  const v1::JobSpec& job = summary.job;
  std::string text = "---\n";
  if (base.hub_name) text += "base_model: " + yaml_scalar(*base.hub_name) + "\n";
  text += "library_name: ";
  text += !is_language_model(job) ? "equipoise" : is_adapter(job) ? "peft" : "transformers";
  text += "\nmodel_name: " + yaml_scalar(name) + "\n";
  if (is_language_model(job)) text += "pipeline_tag: text-generation\n";
  if (base.license) text += "license: " + yaml_scalar(*base.license) + "\n";
  if (base.license_name) text += "license_name: " + yaml_scalar(*base.license_name) + "\n";
  if (base.license_link) text += "license_link: " + yaml_scalar(*base.license_link) + "\n";
  text += "tags:\n- equipoise\n- " + method_of(job).tag + "\n";
  if (learns_weights(job)) text += "- group-robust\n";
  if (is_adapter(job)) text += "- lora\n";
  return text + model_index(summary, name) + "---\n";
}

// The names of the groups, the worst off after training first.
std::vector<std::string> worst_first(const RunSummary& summary) {
  std::vector<std::string> names;
  std::map<std::string, double> losses;
  if (summary.after) {
    for (const auto& [name, group] : summary.after->groups) {
      names.push_back(name);
      losses[name] = group.loss.value.value_or(-INFINITY);
    }
    std::ranges::stable_sort(names, [&losses](const std::string& one, const std::string& other) {
      return worse_loss(losses[one], losses[other]);
    });
  } else {
    for (const auto& [name, weight] : summary.weights) names.push_back(name);
  }
  return names;
}

template <typename Numbers>
std::optional<double> number_of(const Numbers& numbers, const std::string& name) {
  const auto found = numbers.find(name);
  return found == numbers.end() ? std::nullopt : std::optional(found->second);
}

SummaryGroup group_of(const std::optional<SummaryEvaluation>& evaluation, const std::string& name) {
  if (!evaluation) return {};
  const auto found = evaluation->groups.find(name);
  return found == evaluation->groups.end() ? SummaryGroup{} : found->second;
}

struct CardColumn {
  std::string title;
  std::string cell;  // of the group at hand
};

std::string row_of(const std::vector<std::string>& cells, bool is_bold) {
  std::string row = "|";
  for (const std::string& cell : cells) {
    row += is_bold ? " **" : " ";
    row += cell;
    row += is_bold ? "** |" : " |";
  }
  return row + "\n";
}

std::string group_table(const RunSummary& summary) {
  const bool is_evaluated = summary.after.has_value();
  const bool is_twice = is_evaluated && summary.before && summary.before->step != summary.after->step;
  const bool has_accuracy = is_evaluated && summary.after->lowest_accuracy().value.has_value();
  const std::map<std::string, double> weights(summary.weights.begin(), summary.weights.end());
  const std::map<std::string, double> pairs(summary.training_pairs.begin(), summary.training_pairs.end());
  const auto cells_of = [&](const std::string& name) {
    const SummaryGroup before = group_of(summary.before, name), after = group_of(summary.after, name);
    std::vector<CardColumn> columns = {{"group", markdown_line(name)}};
    if (!pairs.empty()) columns.push_back({"training pairs", count_figure(number_of(pairs, name))});
    if (is_evaluated) columns.push_back({"validation pairs", count_figure(after.pairs)});
    if (is_twice) columns.push_back({"loss before", figure(before.loss, 4)});
    if (is_evaluated) columns.push_back({"loss after", figure(after.loss, 4)});
    if (is_twice && has_accuracy) columns.push_back({"accuracy before", figure(before.accuracy, 3)});
    if (has_accuracy) columns.push_back({"accuracy after", figure(after.accuracy, 3)});
    if (learns_weights(summary.job)) columns.push_back({"α", figure(number_of(weights, name), 4)});
    return columns;
  };
  const std::vector<std::string> names = worst_first(summary);
  if (names.empty()) return "";
  std::vector<std::string> titles;
  for (const CardColumn& column : cells_of(names.front())) titles.push_back(column.title);
  std::string table = row_of(titles, false) + "| --- |";
  for (std::size_t i = 1; i < titles.size(); ++i) table += " ---: |";
  table += "\n";
  for (std::size_t i = 0; i < std::min(names.size(), kMostCardGroups); ++i) {
    std::vector<std::string> cells;
    for (const CardColumn& column : cells_of(names[i])) cells.push_back(column.cell);
    table += row_of(cells, is_evaluated && i == 0);
  }
  if (names.size() > kMostCardGroups) {
    table += "\n" + std::to_string(names.size() - kMostCardGroups) + " more groups, which " +
             (is_evaluated ? "lose less" : "come after these") + ", are not shown.\n";
  }
  return table;
}

std::string when(const SummaryEvaluation& evaluation) {
  return evaluation.step == 0 ? "before the first step" : "after " + counted(evaluation.step, "step");
}

std::string results(const RunSummary& summary) {
  const v1::DataSpec& data = summary.job.data();
  const auto validation = names_of_files(data.validation(), data.validation_files());
  std::string text = "## Results by group\n\n";
  if (!summary.after) {
    text += validation.empty()
                ? "No validation data were given (`data.validation`), so nothing was evaluated: how the groups fare on "
                  "pairs that training has not seen is not known.\n"
                : "The run has no evaluation on record.\n";
    const std::string table = group_table(summary);
    return text + (table.empty() ? "" : "\n" + table);
  }
  const SummaryEvaluation& after = *summary.after;
  const bool is_twice = summary.before && summary.before->step != after.step;
  text += "On " + (validation.empty() ? "validation pairs" : joined(validation));
  text += is_twice ? ", " + when(*summary.before) + " and " + when(after) : ", " + when(after);
  if (summary.job.training().early_stopping().keep_best()) text += " (the best evaluation, whose parameters these are)";
  const bool has_errors =
      std::ranges::any_of(after.groups, [](const auto& named) { return named.second.loss.error.has_value(); });
  text += ": mean over the group's pairs";
  text += has_errors ? " ± its standard error." : ".";
  if (after.lowest_accuracy().value) {
    text += " Accuracy is the share of pairs whose chosen answer has the higher reward.";
  }
  text += "\n\n";
  text += group_table(summary);
  if (is_twice && summary.before->step == 0 && summary.before->accuracy.value == 0) {
    text += "\nBefore the first step the model is its own reference: all rewards are 0, and no chosen one is higher.\n";
  }
  const std::string worst = after.worst();
  if (worst.empty()) return text;
  text += "\nWorst off is **" + markdown_line(worst) + "**: loss ";
  if (is_twice) text += figure(group_of(summary.before, worst).loss, 4) + " before, ";
  text += figure(group_of(summary.after, worst).loss, 4) + (is_twice ? " after.\n" : ".\n");
  return text;
}

// What says how far weights move from the groups' shares: each set of weights has its own.
struct WeightSetting {
  std::string_view name;
  double value = 0;
};

constexpr std::string_view kStepSize = "step size of α";

WeightSetting weight_setting(const v1::RobustSpec& robust) {
  switch (robust.ambiguity_set()) {
    case v1::AMBIGUITY_SET_CVAR:
      return {"CVaR: weights are those of the worst share κ", robust.kappa()};
    case v1::AMBIGUITY_SET_CHI_SQUARE:
      return {"weights within a χ² radius ρ of the shares", robust.rho()};
    case v1::AMBIGUITY_SET_KL:
      return {"weights with a KL temperature τ", robust.tau()};
    default:
      return {kStepSize, robust.step_size()};
  }
}

// "0.1; 0.05 after 140 steps": what people have changed while it trained. The newest 4 changes are named.
std::string with_changes(std::string text, std::string_view setting, const RunSummary& summary) {
  constexpr std::size_t kMostNamed = 4;
  std::vector<const SummaryChange*> changes;
  for (const SummaryChange& change : summary.changes) {
    if (change.setting == setting && change.to) changes.push_back(&change);
  }
  const std::size_t named = std::min(changes.size(), kMostNamed), others = changes.size() - named;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : "; ") + part; };
  if (others > 0) add(counted(static_cast<std::int64_t>(others), "other change"));
  for (std::size_t i = others; i < changes.size(); ++i) {
    add(number_text(*changes[i]->to) + " after " + counted(changes[i]->step, "step"));
  }
  return text;
}

// Steps have lines as logging.every_steps says.
std::string skipped_text(const RunSummary& summary) {
  return std::to_string(summary.skipped_lines) + " of " + std::to_string(summary.step_lines) + " logged";
}

std::string training(const RunSummary& summary, const BaseModel& base) {
  const v1::JobSpec& job = summary.job;
  std::string text = "\n## Training\n\n| | |\n| --- | --- |\n";
  const auto add = [&text](std::string_view name, const std::string& value) {
    text += "| ";
    text += name;
    text += " | " + value + " |\n";
  };
  add("method", method_of(job).name);
  if (summary.parent) {
    add("began with", "the checkpoint of step " + std::to_string(summary.parent->step) + " of job " +
                          markdown_line(summary.parent->job_id));
  }
  add("steps, epochs", std::to_string(summary.steps) + ", " + figure(summary.epoch, 2));
  if (!job.training().full_batch()) {
    add("pairs of a step", std::to_string(job.training().global_batch_size()));
  }
  add("learning rate", with_changes(number_text(job.optimizer().learning_rate()), "learning_rate", summary));
  if (job.loss().type() != v1::LOSS_TYPE_SFT) add("β", number_text(job.loss().beta()));
  if (learns_weights(job)) {
    const WeightSetting setting = weight_setting(job.robust());
    const std::string_view name = setting.name == kStepSize ? "step_size" : "";
    add(setting.name, with_changes(number_text(setting.value), name, summary));
    const double chi = job.robust().has_trade_off() ? job.robust().trade_off() : 1;
    const std::string trade_off = with_changes(number_text(chi), "trade_off", summary);
    if (trade_off != "1") add("trade-off χ", trade_off);  // 1 is the paper's method
  }
  if (summary.skipped_lines > 0) add("steps without an update, as a number was not finite", skipped_text(summary));
  const auto files = names_of_files(job.data().train(), job.data().train_files());
  if (!files.empty()) add("training data", joined(files));
  double pairs = 0;
  for (const auto& [name, count] : summary.training_pairs) pairs += count;
  if (pairs > 0) add("training pairs, memberships added up", count_figure(pairs));
  if (summary.dataset) add("SHA-256 of the tokenised training pairs", "`" + hex_text(*summary.dataset) + "`");
  text += "\n<details>\n<summary>The job</summary>\n\n" + markdown_block(shareable_job(job, base), "yaml") +
          "\n</details>\n";
  return text;
}

std::string usage(const v1::JobSpec& job, const BaseModel& base) {
  if (!is_language_model(job)) {
    return "\n## Use\n\n`theta.json` has the parameters θ of a log-linear policy, π(a|s) ∝ exp⟨φ(s, a), θ⟩.\n";
  }
  std::string code;
  if (is_adapter(job)) {
    code =
        "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        "folder = \".\"  # of this file\nbase = AutoModelForCausalLM.from_pretrained(" +
        (base.hub_name ? yaml_scalar(*base.hub_name) : "\"the base model\"") +
        ")\nmodel = PeftModel.from_pretrained(base, folder)\ntokenizer = AutoTokenizer.from_pretrained(folder)\n";
  } else {
    code =
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\nfolder = \".\"  # of this file\n"
        "model = AutoModelForCausalLM.from_pretrained(folder)\n"
        "tokenizer = AutoTokenizer.from_pretrained(folder)\n";
  }
  return "\n## Use\n\n" + markdown_block(code, "python");
}

std::string citation(const v1::JobSpec& job) {
  if (!learns_weights(job)) return "";
  return "\n## Citation\n\n" + markdown_block(
                                   "@inproceedings{ramesh2024grpo,\n"
                                   "  title = {Group Robust Preference Optimization in Reward-free RLHF},\n"
                                   "  author = {Ramesh, Shyam Sundhar and Hu, Yifan and Chaimalas, Iason and "
                                   "Mehta, Viraj and Sessa, Pier Giuseppe and Bou Ammar, Haitham and "
                                   "Bogunovic, Ilija},\n"
                                   "  booktitle = {Advances in Neural Information Processing Systems},\n"
                                   "  year = {2024}\n}\n",
                                   "bibtex");
}

}  // namespace

std::string model_card(const RunSummary& summary) {
  const v1::JobSpec& job = summary.job;
  const std::string name = plain_line(job.name().empty() ? summary.folder_name : job.name());
  const BaseModel base = is_language_model(job) ? base_model_of(job.model().path()) : BaseModel{};
  std::string text = metadata(summary, base, name) + "\n# " + markdown_line(name) + "\n\n";
  text += !is_language_model(job) ? "A log-linear policy" : is_adapter(job) ? "A LoRA adapter" : "A language model";
  text += ", trained with " + method_of(job).name;
  if (learns_weights(job)) text += std::string(" (") + kPaper + ")";
  if (base.hub_name) {
    text += " from [" + markdown_line(*base.hub_name) + "](https://huggingface.co/" + *base.hub_name + ")";
  } else if (!base.name.empty()) {
    text += " from a model called " + markdown_line(base.name);
  }
  text += " by Equipoise.";
  if (learns_weights(job)) {
    text += " A group of people that loses gets more weight in the next gradient; α is each group's weight at the end.";
  }
  if (summary.steps < summary.max_steps && !summary.has_ended) {
    text += "\n\n**The run had not ended when this was written.**";
  }
  if (2 * summary.skipped_lines > summary.step_lines) {
    text += "\n\n**Most steps changed nothing: in " + skipped_text(summary) +
            " steps a loss or the gradient was not finite.**";
  }
  text += "\n\n" + results(summary) + training(summary, base) + usage(job, base) + citation(job);
  return text;
}

}  // namespace equipoise
