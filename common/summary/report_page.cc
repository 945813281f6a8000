#include "common/summary/report_page.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/sha256.h"
#include "common/metrics/run_curves.h"
#include "common/robust/worst_group.h"
#include "common/summary/base_model.h"
#include "common/summary/plain_text.h"
#include "common/summary/report_files.h"

namespace equipoise {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostReportCurves = 32;    // groups
constexpr std::size_t kMostReportGroups = 5000;  // rows
constexpr std::size_t kMostReportRows = 500;     // of each other table

std::string base64(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    unsigned block = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      block = block << 8 | (j < count ? std::to_integer<unsigned>(bytes[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) text += j <= count ? kDigits[block >> (18 - 6 * j) & 63u] : '=';
  }
  return text;
}

// As a policy names it.
std::string hash_of(std::string_view text) {
  return "'sha256-" + base64(sha256_of(std::as_bytes(std::span(text)))) + "'";
}

Json json_number(std::optional<double> value) { return value && std::isfinite(*value) ? Json(*value) : Json(nullptr); }

Json mean_json(const SummaryMean& mean) { return {json_number(mean.value), json_number(mean.error)}; }

// A loss that is not finite is the worst of all, and has to be seen.
Json group_json(const SummaryGroup& group) {
  return {{"loss", mean_json(group.loss)},
          {"isFinite", !group.loss.value || std::isfinite(*group.loss.value)},
          {"accuracy", mean_json(group.accuracy)},
          {"pairs", json_number(group.pairs)}};
}

struct ReportGroup {
  std::string name;
  double loss = -INFINITY;
};

// The worst off first: by the last evaluation, else by the last training line.
std::vector<ReportGroup> groups_of(const RunSummary& summary) {
  std::vector<ReportGroup> groups;
  if (summary.after) {
    for (const auto& [name, group] : summary.after->groups) {
      groups.push_back({name, group.loss.value.value_or(-INFINITY)});
    }
  } else if (!summary.training_lines.empty()) {
    const Json line = Json::parse(summary.training_lines.back(), nullptr, false);
    if (line.is_object() && line.contains("group_loss") && line["group_loss"].is_object()) {
      for (const auto& [name, loss] : line["group_loss"].items()) {
        groups.push_back({name, loss.is_number() ? loss.get<double>() : NAN});
      }
    }
  }
  std::ranges::stable_sort(
      groups, [](const ReportGroup& one, const ReportGroup& other) { return worse_loss(one.loss, other.loss); });
  if (!groups.empty()) return groups;
  for (const auto& [name, weight] : summary.weights) groups.push_back({name});
  return groups;
}

Json evaluation_json(const std::optional<SummaryEvaluation>& evaluation) {
  if (!evaluation) return nullptr;
  return {{"step", evaluation->step},
          {"worst", evaluation->worst()},
          {"loss", mean_json(evaluation->loss)},
          {"accuracy", mean_json(evaluation->accuracy)},
          {"lowestAccuracy", mean_json(evaluation->lowest_accuracy())}};
}

Json group_rows(const RunSummary& summary, std::span<const ReportGroup> groups) {
  const std::map<std::string, double> weights(summary.weights.begin(), summary.weights.end());
  const std::map<std::string, double> pairs(summary.training_pairs.begin(), summary.training_pairs.end());
  const auto number_of = [](const std::map<std::string, double>& numbers, const std::string& name) {
    const auto found = numbers.find(name);
    return found == numbers.end() ? Json(nullptr) : json_number(found->second);
  };
  const auto evaluated = [](const std::optional<SummaryEvaluation>& evaluation, const std::string& name) {
    if (!evaluation) return Json(nullptr);
    const auto found = evaluation->groups.find(name);
    return found == evaluation->groups.end() ? Json(nullptr) : group_json(found->second);
  };
  Json rows = Json::array();
  for (const ReportGroup& group : groups.first(std::min(groups.size(), kMostReportGroups))) {
    rows.push_back({{"name", group.name},
                    {"weight", number_of(weights, group.name)},
                    {"pairs", number_of(pairs, group.name)},
                    {"before", evaluated(summary.before, group.name)},
                    {"after", evaluated(summary.after, group.name)}});
  }
  return rows;
}

template <typename List, typename Row>
Json rows_of(const List& list, const Row& row) {
  Json rows = Json::array();
  const std::size_t first = list.size() - std::min(list.size(), kMostReportRows);
  for (std::size_t i = first; i < list.size(); ++i) rows.push_back(row(list[i]));
  return rows;
}

Json report_json(const RunSummary& summary) {
  const v1::JobSpec& job = summary.job;
  const BaseModel base = job.has_policy() ? BaseModel{} : base_model_of(job.model().path());
  const std::vector<ReportGroup> groups = groups_of(summary);
  std::vector<std::string> curved;
  for (std::size_t i = 0; i < std::min(groups.size(), kMostReportCurves); ++i) curved.push_back(groups[i].name);
  return {{"name", job.name().empty() ? summary.folder_name : job.name()},
          {"base", base.name},
          {"hasEnded", summary.has_ended},
          {"hasValidation", !job.data().validation().empty() || job.data().validation_files_size() > 0},
          {"learnsWeights", job.robust().mode() == v1::ROBUST_MODE_GROUP_ROBUST},
          {"keepsBest", job.training().early_stopping().keep_best()},
          {"steps", summary.steps},
          {"maxSteps", std::max(summary.max_steps, summary.steps)},
          {"epoch", summary.epoch},
          {"dataset", summary.dataset ? Json(hex_text(*summary.dataset)) : Json(nullptr)},
          {"before", evaluation_json(summary.before)},
          {"after", evaluation_json(summary.after)},
          {"groups", group_rows(summary, groups)},
          {"groupCount", groups.size()},
          {"curved", curved},
          {"train", curves_of(summary.training_lines, CurveSplit::kTraining, curved)},
          {"validation", curves_of(summary.evaluation_lines, CurveSplit::kValidation, curved)},
          {"sampled", summary.is_sampled},
          {"skipped", {summary.skipped_lines, summary.step_lines}},
          {"job", shareable_job(job, base)},
          {"changes", rows_of(summary.changes,
                              [](const SummaryChange& one) {
                                return Json{{"step", one.step},
                                            {"setting", one.setting},
                                            {"from", json_number(one.from)},
                                            {"to", json_number(one.to)},
                                            {"requester", one.requester}};
                              })},
          {"parent",
           summary.parent ? Json{{"job", summary.parent->job_id}, {"step", summary.parent->step}} : Json(nullptr)},
          {"attempts", rows_of(summary.attempts,
                               [](const SummaryAttempt& one) {
                                 return Json{{"job", one.job_id},
                                             {"generation", one.generation},
                                             {"step", one.first_step},
                                             {"ranks", one.ranks},
                                             {"device", one.device},
                                             {"program", one.program},
                                             {"isFromCheckpoint", one.is_from_checkpoint}};
                               })},
          {"checkpoints", rows_of(summary.checkpoints, [](std::int64_t step) { return Json(step); })},
          {"notes", summary.notes}};
}

std::string with(std::string page, std::string_view mark, std::string_view text) {
  const std::size_t at = page.find(mark);
  return at == std::string::npos ? page : page.replace(at, mark.size(), text);
}

}  // namespace

std::string report_page(const RunSummary& summary) {
  const std::string_view script = summary_file("report.js"), style = summary_file("report.css");
  const std::string policy = "default-src 'none'; script-src " + hash_of(script) + "; style-src " + hash_of(style) +
                             "; base-uri 'none'; form-action 'none'";
  const std::string title = html_line(summary.job.name().empty() ? summary.folder_name : summary.job.name());
  std::string page = with(std::string(summary_file("report.html")), "{{policy}}", policy);
  page = with(std::move(page), "{{title}}", title);
  page = with(std::move(page), "{{style}}", style);
  page = with(std::move(page), "{{script}}", script);
  // Last: what is put in is never looked through for marks.
  return with(std::move(page), "{{run}}",
              json_in_html(report_json(summary).dump(-1, ' ', false, Json::error_handler_t::replace)));
}

}  // namespace equipoise
