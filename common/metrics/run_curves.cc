#include "common/metrics/run_curves.h"

#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>

#include "common/base/bounded_file.h"
#include "common/base/descriptor.h"
#include "common/metrics/metrics_lines.h"
#include "common/metrics/metrics_schema.h"

namespace equipoise {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kReadWhole = std::size_t{64} << 20;
constexpr std::size_t kLongestMetricsLine = std::size_t{4} << 20;
constexpr std::size_t kShortLine = std::size_t{16} << 10;  // bytes that a line has at least, as far as room goes

struct RunLines {
  std::vector<std::string> train, validation;
  std::uint64_t bytes = 0;
  bool is_sampled = false;
};

template <typename Use>
void for_each_line(std::string_view text, const Use& use) {
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const MetricsLineKind kind = kind_of_line(line);
    if (kind == MetricsLineKind::kEvaluation || kind == MetricsLineKind::kStep) use(line, kind);
  }  // what has no end is being written
}

// At even distances, with the last of each kind. Read twice, so that nothing is kept but what is taken.
void sort_lines(std::string_view text, RunLines& lines, std::size_t points) {
  std::array<std::size_t, 2> count{}, at{};
  for_each_line(text, [&](std::string_view, MetricsLineKind kind) { ++count[static_cast<std::size_t>(kind)]; });
  for_each_line(text, [&](std::string_view line, MetricsLineKind kind) {
    const std::size_t all = count[static_cast<std::size_t>(kind)], place = at[static_cast<std::size_t>(kind)]++;
    const std::size_t spacing = std::max<std::size_t>(1, (all + points - 1) / points);
    if (place % spacing != 0 && place + 1 != all) return;
    (kind == MetricsLineKind::kEvaluation ? lines.validation : lines.train).emplace_back(line);
  });
}

// Bounded in what is read and in what is kept, however long the lines are.
void sample_lines(int descriptor, RunLines& lines, std::size_t points) {
  lines.is_sampled = true;
  const std::size_t tail = std::min<std::size_t>(lines.bytes, kLongestMetricsLine);
  RunLines end;
  sort_lines(part_of_file(descriptor, lines.bytes - tail, tail), end, 2);
  std::size_t longest = kShortLine, budget = 4 * kReadWhole, kept = 0;
  for (const auto* of_kind : {&end.train, &end.validation}) {
    if (!of_kind->empty()) longest = std::max(longest, of_kind->back().size());
  }
  points = std::clamp<std::size_t>(kReadWhole / 2 / longest, 1, points);
  for (std::size_t at = 0; at < points && kept <= kReadWhole; ++at) {
    std::string line = line_behind(descriptor, lines.bytes / points * at, kLongestMetricsLine, budget).text;
    kept += line.size();
    const MetricsLineKind kind = kind_of_line(line);
    if (kind == MetricsLineKind::kEvaluation) {
      if (lines.validation.empty() || lines.validation.back() != line) lines.validation.push_back(std::move(line));
    } else if (kind == MetricsLineKind::kStep) {
      if (lines.train.empty() || lines.train.back() != line) lines.train.push_back(std::move(line));
    }
  }
  // The first of the tail may be half a line.
  if (end.train.size() > 1) lines.train.push_back(end.train.back());
  if (end.validation.size() > 1) lines.validation.push_back(end.validation.back());
}

// Six digits are more than any screen shows, and shorter than all of them.
Json number(simdjson::dom::element parent, std::string_view key) {
  double value = 0;
  if (parent[key].get(value) != simdjson::SUCCESS || !std::isfinite(value)) return nullptr;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return std::strtod(text.data(), nullptr);
}

RunLines lines_of(const std::filesystem::path& file, std::size_t points, const MayRead& may_read) {
  RunLines lines;
  const Descriptor descriptor(open_run_file(file, may_read));
  struct stat found {};
  if (descriptor.get() < 0 || ::fstat(descriptor.get(), &found) != 0) return lines;
  lines.bytes = static_cast<std::uint64_t>(found.st_size);
  if (lines.bytes > kReadWhole) {
    sample_lines(descriptor.get(), lines, points);
  } else {
    const std::string text = part_of_file(descriptor.get(), 0, lines.bytes);
    sort_lines(text, lines, points);
  }
  return lines;
}

}  // namespace

nlohmann::json curves_of(std::span<const std::string> lines, CurveSplit split, std::span<const std::string> groups) {
  const bool is_training = split == CurveSplit::kTraining;
  const std::string_view loss_name = is_training ? "loss" : "eval_loss";
  const std::string_view error_name = is_training ? "loss_error" : "eval_loss_error";
  constexpr std::array<std::pair<const char*, const char*>, 5> kColumns{{{"loss", "group_loss"},
                                                                         {"lossError", "group_loss_error"},
                                                                         {"weight", "group_weight"},
                                                                         {"accuracy", "group_accuracy"},
                                                                         {"accuracyError", "group_accuracy_error"}}};
  Json step = Json::array(), loss = Json::array(), loss_error = Json::array(), by_group = Json::object();
  Json worst_loss = Json::array(), lowest_accuracy = Json::array();
  simdjson::dom::parser parser;
  for (const std::string& line : lines) {
    simdjson::dom::element row;
    std::int64_t steps = 0;
    if (parser.parse(line).get(row) != simdjson::SUCCESS || row["step"].get(steps) != simdjson::SUCCESS) continue;
    step.push_back(steps);
    loss.push_back(number(row, loss_name));
    loss_error.push_back(number(row, error_name));
    worst_loss.push_back(number(row, metrics_schema::kWorstGroupLoss.name));
    lowest_accuracy.push_back(number(row, metrics_schema::kMinGroupAccuracy.name));
    for (const auto& [column, field] : kColumns) {
      simdjson::dom::element of_groups;
      const bool is_there = row[field].get(of_groups) == simdjson::SUCCESS;
      for (const std::string& group : groups) {
        by_group[group][column].push_back(is_there ? number(of_groups, group) : Json(nullptr));
      }
    }
  }
  return {{"step", std::move(step)},
          {"loss", std::move(loss)},
          {"lossError", std::move(loss_error)},
          {"worstLoss", std::move(worst_loss)},
          {"lowestAccuracy", std::move(lowest_accuracy)},
          {"groups", std::move(by_group)}};
}

std::string curves_json(const std::filesystem::path& file, const CurveQuery& query, const MayRead& may_read) {
  const RunLines lines = lines_of(file, std::max<std::size_t>(1, query.points), may_read);
  const Json curves = {{"train", curves_of(lines.train, CurveSplit::kTraining, query.groups)},
                       {"validation", curves_of(lines.validation, CurveSplit::kValidation, query.groups)},
                       {"bytes", lines.bytes},
                       {"sampled", lines.is_sampled}};
  return curves.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace equipoise
