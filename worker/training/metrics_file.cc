#include "worker/training/metrics_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/robust/worst_group.h"

namespace equipoise {
namespace {

namespace schema = metrics_schema;

// "eval_", or "eval_FILE_" on the line of one file.
std::string prefix_of(const std::string& file) {
  return std::string(schema::kEvalPrefix) + (file.empty() ? "" : file + "_");
}

template <typename Value>
std::vector<GroupNumber> numbers(std::span<const std::string> names, std::span<const GroupMeans> groups, Value value) {
  std::vector<GroupNumber> result;
  for (const GroupMeans& group : groups) result.push_back({.group = names[group.group], .value = value(group)});
  return result;
}

std::vector<GroupNumber> weights(std::span<const std::string> names, std::span<const double> alpha_K) {
  std::vector<GroupNumber> result;
  for (std::size_t g = 0; g < alpha_K.size(); ++g) result.push_back({.group = names[g], .value = alpha_K[g]});
  return result;
}

double loss_of(const GroupMeans& group) { return group.loss; }
double count_of(const GroupMeans& group) { return group.pair_count; }

void add_losses(MetricsFields& fields, std::span<const std::string> names, std::span<const GroupMeans> groups) {
  fields.set(schema::kGroupLoss, numbers(names, groups, loss_of));
  fields.set(schema::kGroupCount, numbers(names, groups, count_of));
}

void add_flat(MetricsFields& fields, std::span<const std::string> names, std::span<const GroupMeans> groups) {
  for (const GroupMeans& group : groups) {
    fields.set_flat(schema::kFlatLoss, names[group.group], group.loss);
    if (group.accuracy) fields.set_flat(schema::kFlatAccuracy, names[group.group], *group.accuracy);
  }
}

// Of the groups that have a baseline.
std::vector<GroupMeans> excess_of(std::span<const GroupMeans> groups, std::span<const double> baseline_K) {
  std::vector<GroupMeans> excess;
  for (GroupMeans group : groups) {
    if (baseline_K.empty() || std::isnan(baseline_K[group.group])) continue;
    group.loss -= baseline_K[group.group];
    excess.push_back(std::move(group));
  }
  return excess;
}

const GroupMeans* worst_of(std::span<const GroupMeans> groups) {
  const auto worst = worst_group(groups, [](const GroupMeans& group) { return std::optional(group.loss); });
  return worst == groups.end() ? nullptr : &*worst;
}

void add_excess(MetricsFields& fields, std::span<const std::string> names, std::span<const GroupMeans> excess) {
  if (excess.empty()) return;
  fields.set(schema::kGroupExcessLoss, numbers(names, excess, loss_of));
  for (const GroupMeans& group : excess) {
    fields.set_flat(schema::kFlatExcessLoss, names[group.group], group.loss);
  }
  fields.set(schema::kWorstGroupExcessLoss, worst_of(excess)->loss);
}

void add_worst(MetricsFields& fields, std::span<const std::string> names, std::span<const GroupMeans> groups) {
  const GroupMeans* const worst = worst_of(groups);
  if (worst == nullptr) return;
  fields.set(schema::kWorstGroup, names[worst->group]);
  fields.set(schema::kWorstGroupLoss, worst->loss);
  double smallest = HUGE_VAL;
  for (const GroupMeans& group : groups) {
    if (group.accuracy) smallest = std::min(smallest, *group.accuracy);
  }
  if (worst->accuracy) fields.set(schema::kMinGroupAccuracy, smallest);
}

// max_g L_g - sum_g alpha_g L_g >= 0: how far alpha is from the exact inner maximum. Needs the loss of every training
// group; L_g - b_g in its place where there is a baseline.
std::optional<double> robust_gap(std::span<const GroupMeans> groups, std::span<const double> alpha_K,
                                 std::span<const double> baseline_K) {
  std::vector<double> loss_K;
  double weighted = 0;
  for (const GroupMeans& group : groups) {
    if (group.group >= alpha_K.size()) break;
    if (group.group != loss_K.size() || !std::isfinite(group.loss)) return std::nullopt;
    const double loss = group.loss - (baseline_K.empty() ? 0 : baseline_K[group.group]);
    loss_K.push_back(loss);
    weighted += alpha_K[group.group] * loss;
  }
  if (loss_K.size() < alpha_K.size()) return std::nullopt;
  return worst_group_loss(loss_K) - weighted;
}

void set_mean(MetricsFields& fields, const schema::Field& field, double mean, const std::optional<double>& error) {
  fields.set(field, mean);
  if (error) fields.set_error(field, *error);
}

}  // namespace

MetricsJson step_line(const GroupedData& data, LinePosition position, bool is_skipped, const StepNumbers& step,
                      std::span<const double> alpha_K, const Speed& speed) {
  const auto names = data.group_names;
  MetricsFields fields;
  fields.set(schema::kStep, position.step);
  fields.set(schema::kEpoch, position.epoch);
  set_mean(fields, schema::kLoss, step.loss, step.loss_error);
  fields.set(schema::kGradNorm, step.grad_norm);
  fields.set(schema::kLearningRate, step.learning_rate);
  if (is_skipped) fields.set_flag(schema::kSkipped);
  add_losses(fields, names, step.groups);
  fields.add(step.further);
  fields.set(schema::kGroupWeight, weights(names, alpha_K));
  add_flat(fields, names, step.groups);
  for (std::size_t g = 0; g < alpha_K.size(); ++g) fields.set_flat(schema::kFlatWeight, names[g], alpha_K[g]);
  add_excess(fields, names, excess_of(step.groups, data.baseline_K));
  if (speed.tokens_per_second) fields.set(schema::kNumTokens, static_cast<std::int64_t>(speed.num_tokens));
  fields.set(schema::kPairsPerSecond, speed.pairs_per_second);
  if (speed.tokens_per_second) fields.set(schema::kTokensPerSecond, *speed.tokens_per_second);
  return fields.line(schema::kStepLine, "");
}

MetricsJson evaluation_line(const GroupedData& data, LinePosition position, const ValidationMeans& pairs,
                            std::span<const double> alpha_K) {
  const auto names = data.validation_names;
  const std::string split = std::string(schema::kSplitValidation) + (pairs.file.empty() ? "" : "/" + pairs.file);
  MetricsFields fields;
  fields.set(schema::kSplit, split);
  fields.set(schema::kStep, position.step);
  fields.set(schema::kEpoch, position.epoch);
  set_mean(fields, schema::kLoss, pairs.loss, pairs.loss_error);
  fields.set(schema::kPairs, pairs.pairs);
  add_losses(fields, names, pairs.groups);
  fields.add(pairs.further);
  add_worst(fields, names, pairs.groups);
  add_flat(fields, names, pairs.groups);
  if (pairs.file.empty()) {
    fields.set(schema::kGroupWeight, weights(data.group_names, alpha_K));
    const auto& baseline_K = data.validation_baseline_K;
    if (const auto gap = robust_gap(pairs.groups, alpha_K, baseline_K)) fields.set(schema::kRobustGap, *gap);
    add_excess(fields, names, excess_of(pairs.groups, baseline_K));
  }
  return fields.line(schema::kEvaluationLine, prefix_of(pairs.file));
}

EvaluationNumbers evaluation_numbers(const MetricsJson& line, const std::string& file) {
  EvaluationNumbers numbers;
  for (const auto& [name, value] : line.items()) {
    if (!value.is_number() || name == schema::kStep.name || name == schema::kEpoch.name) continue;
    const bool has_prefix = file.empty() || name.starts_with(schema::kEvalPrefix);
    numbers[has_prefix ? name : file + "_" + name] = value.get<double>();
  }
  return numbers;
}

EvaluationNumbers expected_numbers(const TrainedPolicy& policy) {
  const GroupedData& data = policy.data();
  const std::vector<double> alpha_K(data.group_names.size());
  EvaluationNumbers numbers;
  for (const ValidationMeans& pairs : policy.expected_evaluation()) {
    numbers.merge(evaluation_numbers(evaluation_line(data, {}, pairs, alpha_K), pairs.file));
  }
  return numbers;
}

bool read_beginning(const std::filesystem::path& file, std::int64_t bytes,
                    const std::function<void(std::string_view)>& use) {
  std::ifstream stream(file, std::ios::binary);
  std::vector<char> piece(std::size_t{1} << 20);
  while (bytes > 0) {
    stream.read(piece.data(), static_cast<std::streamsize>(std::min<std::int64_t>(bytes, std::ssize(piece))));
    if (stream.gcount() == 0) return false;
    use(std::string_view(piece.data(), static_cast<std::size_t>(stream.gcount())));
    bytes -= stream.gcount();
  }
  return true;
}

std::optional<Digest> digest_of_beginning(const std::filesystem::path& file, std::int64_t bytes) {
  Sha256 sha256;
  if (!read_beginning(file, bytes, [&](std::string_view piece) { sha256.update(piece); })) return std::nullopt;
  return sha256.finish();
}

MetricsFile::MetricsFile(std::filesystem::path path, std::int64_t kept_bytes, DiskPatience patience)
    : path_(std::move(path)),
      patience_(std::move(patience)),
      file_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)),
      bytes_(kept_bytes) {
  const auto refuse = [this](int error) { throw_open_fault("cannot write " + path_.string(), error); };
  if (file_.get() < 0) refuse(errno);
  const auto add = [this](std::string_view piece) { sha256_.update(piece); };
  if (!read_beginning(path_, kept_bytes, add)) {
    throw std::invalid_argument(path_.string() + " has fewer than " + std::to_string(kept_bytes) + " bytes");
  }
  if (::ftruncate(file_.get(), kept_bytes) != 0) refuse(errno);
}

// Doubles are written so that reading gives the same bits.
void MetricsFile::write(const MetricsJson& line) {
  std::string text = line.dump(-1, ' ', false, MetricsJson::error_handler_t::replace) + '\n';
  bytes_ += std::ssize(text);
  sha256_.update(text);
  const auto put = [&] { write_all(file_.get(), text, "cannot write " + path_.string()); };
  do_with(patience_, put);
}

}  // namespace equipoise
