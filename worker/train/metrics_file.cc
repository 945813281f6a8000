#include "worker/train/metrics_file.h"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace equipoise {
namespace {

// Those without the prefix get the file's name in front: eval_NAME_loss, NAME_worst_group_loss.
EvaluationNumbers numbers_of_file(const MetricsLine& line, const std::string& file) {
  EvaluationNumbers numbers;
  for (const auto& [name, value] : numbers_of(line)) {
    if (name == "step" || name == "epoch") continue;
    numbers[name.starts_with(kEvaluationPrefix) ? name : file + "_" + name] = value;
  }
  return numbers;
}

// Two pairs of each group that has any.
BatchSums sums_of_groups(std::span<const double> count_K) {
  BatchSums sums(count_K.size());
  const PairOutcome outcome{.answers = TokenSums{.chosen_tokens = 1, .rejected_tokens = 1}};
  for (std::size_t g = 0; g < count_K.size(); ++g) {
    if (!(count_K[g] > 0)) continue;
    const Membership membership{.group = static_cast<std::uint32_t>(g), .weight = 1};
    for (int i = 0; i < 2; ++i) sums.add(outcome, std::span(&membership, 1));
  }
  sums.settle_errors();
  return sums;
}

}  // namespace

MetricsFile::MetricsFile(const std::filesystem::path& path, LineSettings settings)
    : path_(path), file_(path, std::ios::trunc), settings_(std::move(settings)) {
  if (!file_) throw std::invalid_argument("cannot write " + path.string() + ": " + std::strerror(errno));
}

MetricsFile::MetricsFile(const std::filesystem::path& path, std::vector<std::string> train_groups,
                         std::vector<std::string> validation_groups, Rewards rewards, ExtraMetrics extra)
    : MetricsFile(path, LineSettings{.train_groups = std::move(train_groups),
                                     .validation_groups = std::move(validation_groups),
                                     .rewards = rewards,
                                     .extra = std::move(extra)}) {}

void MetricsFile::write_step(LinePosition position, const StepResult& result, std::span<const double> alpha_K,
                             Speed speed) {
  write(step_line(settings_, position, result, alpha_K, speed));
}

EvaluationNumbers MetricsFile::write_evaluation(LinePosition position, const BatchSums& sums,
                                                std::span<const double> alpha_K) {
  const MetricsLine line = evaluation_line(settings_, position, sums, alpha_K);
  write(line);
  return numbers_of(line);
}

EvaluationNumbers MetricsFile::write_file(LinePosition position, const std::string& file, const BatchSums& sums) {
  const MetricsLine line = file_line(settings_, position, file, sums);
  write(line);
  return numbers_of_file(line, file);
}

EvaluationNumbers expected_numbers(const LineSettings& settings, std::span<const double> count_K) {
  const std::vector<double> alpha_K(settings.train_groups.size());
  return numbers_of(evaluation_line(settings, {}, sums_of_groups(count_K), alpha_K));
}

EvaluationNumbers expected_file_numbers(const LineSettings& settings, const std::string& file,
                                        std::span<const double> count_K) {
  return numbers_of_file(file_line(settings, {}, file, sums_of_groups(count_K)), file);
}

// Doubles are written so that reading gives the same bits.
void MetricsFile::write(const MetricsLine& line) {
  file_ << line.dump(-1, ' ', false, MetricsLine::error_handler_t::replace) << '\n' << std::flush;
  if (!file_) throw std::runtime_error("cannot write " + path_.string() + ": " + std::strerror(errno));
}

}  // namespace equipoise
