#include "coordinator/http/weight_moves.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/base/descriptor.h"

namespace equipoise::coordinator {
namespace {

using MoveJson = nlohmann::json;

constexpr std::int64_t kAround = 4;         // steps shown on both sides of the one that is explained
constexpr std::size_t kMostMoveGroups = 8;  // that are shown: the one that is asked for, and those that moved most
constexpr std::int64_t kMostMoveBlocks = 4096;
constexpr std::size_t kMostMoveShares = std::size_t{1} << 16;  // groups of blocks: some 100 bytes each

// A step of the history with what alpha was before it; nothing is known of the step before the first record.
struct MoveStep {
  const v1::GroupWeightRecord* record;
  const v1::GroupWeightRecord* before;  // null: not there

  std::int64_t steps_done() const { return record->step() + 1; }
  std::optional<double> move(int group) const {
    if (before == nullptr || group >= record->alpha_size() || group >= before->alpha_size()) return std::nullopt;
    return std::abs(record->alpha(group) - before->alpha(group));
  }
};

std::vector<MoveStep> steps_of(const v1::ListGroupWeightsResponse& history) {
  std::vector<MoveStep> steps;
  const v1::GroupWeightRecord* before = nullptr;
  for (const v1::GroupWeightRecord& record : history.records()) {
    const bool follows = before != nullptr && before->step() + 1 == record.step();
    steps.push_back({.record = &record, .before = follows ? before : nullptr});
    before = &record;
  }
  return steps;
}

// Of the steps in question, of equal ones the first; null: the history has none of them.
const MoveStep* largest_move(const std::vector<MoveStep>& steps, const MoveQuery& query, int group) {
  const MoveStep* largest = nullptr;
  for (const MoveStep& step : steps) {
    if (step.steps_done() <= query.from || step.steps_done() > query.to) continue;
    if (largest == nullptr || step.move(group).value_or(0) > largest->move(group).value_or(0)) largest = &step;
  }
  return largest;
}

MoveJson or_null(std::optional<double> value) { return value ? MoveJson(*value) : MoveJson(nullptr); }

MoveJson step_json(const MoveStep& step, const std::vector<int>& groups, const std::vector<std::string>& names) {
  MoveJson by_group = MoveJson::object();
  const v1::GroupWeightRecord& record = *step.record;
  for (const int group : groups) {
    const auto place = std::ranges::find(record.group(), static_cast<std::uint32_t>(group)) - record.group().begin();
    const bool is_there = place < record.group_size();
    const int at = static_cast<int>(place);
    const bool has_before = step.before != nullptr && group < step.before->alpha_size();
    by_group[names[static_cast<std::size_t>(group)]] = {
        {"before", or_null(has_before ? std::optional(step.before->alpha(group)) : std::nullopt)},
        {"after", or_null(group < record.alpha_size() ? std::optional(record.alpha(group)) : std::nullopt)},
        {"lossSum", or_null(is_there ? std::optional(record.loss_sum(at)) : std::nullopt)},
        {"pairCount", is_there ? record.pair_count(at) : 0.0}};
  }
  return {{"step", step.steps_done()}, {"groups", std::move(by_group)}};
}

MoveJson shares_json(const GroupShares& group, const std::vector<std::string>& files) {
  MoveJson top = MoveJson::array();
  for (const PairShare& pair : group.top) {
    top.push_back({{"file", pair.file < files.size() ? MoveJson(files[pair.file]) : MoveJson(nullptr)},
                   {"row", pair.row},
                   {"share", pair.share}});
  }
  return {{"step", group.step},        {"before", group.alpha_before},  {"after", group.alpha_after},
          {"lossSum", group.loss_sum}, {"pairCount", group.pair_count}, {"pairs", group.pairs},
          {"rest", group.rest},        {"top", std::move(top)}};
}

// The groups of the step's block that are shown: in its place a step nearby may be all that is kept of one.
MoveJson pairs_json(const RunSharesFile& file, std::int64_t step, const std::vector<std::string>& shown) {
  if (!file.reader) return {{"why", file.why_not}};
  const std::int64_t number = file.reader->find(step);
  const auto block = number < 0 ? std::nullopt : file.reader->block(number);
  if (!block) return {{"why", "pair_shares.bin does not have this step yet"}};
  MoveJson by_group = MoveJson::object();
  const SharesHeader& header = file.reader->header();
  for (const GroupShares& group : block->groups) {
    if (group.group >= header.groups.size()) continue;
    const std::string& name = header.groups[group.group];
    if (std::ranges::find(shown, name) != shown.end()) by_group[name] = shares_json(group, header.files);
  }
  return {{"first", block->first}, {"last", block->last}, {"groups", std::move(by_group)}};
}

// The group that is asked for, then those of the largest moves.
std::vector<int> shown_groups(const MoveStep& step, int asked, int num_groups) {
  std::vector<int> groups;
  for (int group = 0; group < num_groups; ++group) {
    if (group != asked) groups.push_back(group);
  }
  const auto end =
      groups.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(groups.size(), kMostMoveGroups - 1));
  std::partial_sort(groups.begin(), end, groups.end(), [&](int a, int b) {
    const double move_a = step.move(a).value_or(0), move_b = step.move(b).value_or(0);
    return move_a != move_b ? move_a > move_b : a < b;
  });
  groups.erase(end, groups.end());
  groups.insert(groups.begin(), asked);
  return groups;
}

}  // namespace

RunSharesFile run_shares_file(const std::filesystem::path& output, const MayRead& may_read) {
  RunSharesFile file;
  auto data = std::make_unique<Descriptor>(output.empty() ? -1 : open_run_file(output / kSharesName, may_read));
  auto index = std::make_unique<Descriptor>(output.empty() ? -1 : open_run_file(output / kSharesIndexName, may_read));
  file.reader = SharesReader::of(std::move(data), std::move(index), file.why_not);
  return file;
}

MoveQuery narrowed(MoveQuery query, const RunSharesFile& file) {
  if (query.to - query.from <= kMostHistorySteps) return query;
  std::optional<GroupShares> largest;
  const auto move = [](const GroupShares& group) { return std::abs(group.alpha_after - group.alpha_before); };
  std::int64_t number = file.reader ? file.reader->find(query.to) : -1;
  // A run may have ended before `to`.
  if (file.reader && number < 0) number = file.reader->blocks() - 1;
  const std::int64_t last = std::max<std::int64_t>(0, number - kMostMoveBlocks + 1);
  for (std::size_t read = 0; number >= last && read < kMostMoveShares; --number) {
    const auto block = file.reader->block(number);
    if (!block) continue;
    if (block->last <= query.from) break;
    read += block->groups.size();
    const auto& names = file.reader->header().groups;
    for (const GroupShares& group : block->groups) {
      const bool is_asked = group.group < names.size() && names[group.group] == query.group;
      if (!is_asked || group.step <= query.from || group.step > query.to) continue;
      if (!largest || move(group) >= move(*largest)) largest = group;
    }
  }
  if (largest) return {.group = std::move(query.group), .from = largest->step - 1, .to = largest->step};
  query.from = query.to - kMostHistorySteps;
  return query;
}

HistoryRange history_range(const MoveQuery& query) {
  // One more before, for what alpha was.
  const std::int64_t first = std::max<std::int64_t>(0, query.from - kAround - 1);
  return {.first = first, .steps = static_cast<int>(query.to + kAround - first)};
}

std::string moves_json(const MoveQuery& query, const v1::ListGroupWeightsResponse& history, const RunSharesFile& file) {
  const std::vector<std::string> names(history.group_names().begin(), history.group_names().end());
  const auto found = std::ranges::find(names, query.group);
  if (!names.empty() && found == names.end()) throw std::invalid_argument("the job has no group of this name");
  const int asked = static_cast<int>(found - names.begin());
  const std::vector<MoveStep> steps = steps_of(history);
  const MoveStep* const step = names.empty() ? nullptr : largest_move(steps, query, asked);
  MoveJson answer = {{"group", query.group},
                     {"step", nullptr},
                     {"groups", MoveJson::array()},
                     {"steps", MoveJson::array()},
                     {"pairs", {{"why", "the history has no step here"}}}};
  if (step != nullptr) {
    std::vector<std::string> shown;
    const std::vector<int> groups = shown_groups(*step, asked, static_cast<int>(names.size()));
    for (const int group : groups) shown.push_back(names[static_cast<std::size_t>(group)]);
    for (const MoveStep& near : steps) {
      if (std::abs(near.steps_done() - step->steps_done()) > kAround) continue;
      answer["steps"].push_back(step_json(near, groups, names));
    }
    answer["step"] = step->steps_done();
    answer["groups"] = shown;
    answer["pairs"] = pairs_json(file, step->steps_done(), shown);
  }
  return answer.dump(-1, ' ', false, MoveJson::error_handler_t::replace);
}

}  // namespace equipoise::coordinator
