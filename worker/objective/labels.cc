#include "worker/objective/labels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "common/base/error.h"
#include "common/base/message_text.h"

namespace equipoise {
namespace {

constexpr double kNotNamed = -1;

}  // namespace

LabelNoise::LabelNoise(const LossConfig& loss, std::span<const std::string> group_names) {
  if (loss.type == LossType::kRobust) of_all_ = loss.label_smoothing;
  if (loss.label_noise.empty()) return;
  noise_K_.assign(group_names.size(), kNotNamed);
  for (const auto& [name, noise] : loss.label_noise) {
    const auto found = std::ranges::find(group_names, name);
    if (found == group_names.end()) {
      throw std::invalid_argument("loss.label_noise names group " + quoted_text(name) +
                                  ", which the training data does not have");
    }
    noise_K_[static_cast<std::size_t>(found - group_names.begin())] = noise;
  }
}

double LabelNoise::of(std::span<const Membership> memberships) const {
  double weighted = 0, weight = 0;
  for (const Membership& membership : memberships) {
    if (membership.group >= noise_K_.size() || noise_K_[membership.group] == kNotNamed) continue;
    weighted += membership.weight * noise_K_[membership.group];
    weight += membership.weight;
  }
  return weight > 0 ? weighted / weight : of_all_;
}

namespace {

double minus_x_log_x(double x) { return x > 0 ? -x * std::log(x) : 0; }

}  // namespace

double label_floor(const LossConfig& loss, double chosen_share) {
  EQUIPOISE_CHECK(chosen_share > 0 && chosen_share <= 1);
  EQUIPOISE_CHECK(loss.type == LossType::kDpo || loss.type == LossType::kIpo || loss.type == LossType::kRobust);
  const double other_share = 1 - chosen_share;
  if (loss.type == LossType::kIpo) return chosen_share * other_share / (loss.beta * loss.beta);
  const double smoothing = loss.type == LossType::kDpo ? loss.label_smoothing : 0;
  return minus_x_log_x((1 - smoothing) * chosen_share + smoothing * other_share) +
         minus_x_log_x((1 - smoothing) * other_share + smoothing * chosen_share);
}

MeanLabelFloors::MeanLabelFloors(const LossConfig& loss, std::size_t num_groups)
    : loss_(loss), sum_K_(num_groups), weight_K_(num_groups) {}

void MeanLabelFloors::add(double chosen_share, std::span<const Membership> memberships, double weight) {
  const double floor = label_floor(loss_, chosen_share);
  for (const Membership& membership : memberships) {
    sum_K_[membership.group] += weight * membership.weight * floor;
    weight_K_[membership.group] += weight * membership.weight;
  }
}

std::vector<double> MeanLabelFloors::mean_K() const {
  std::vector<double> mean_K(sum_K_.size());
  for (std::size_t g = 0; g < mean_K.size(); ++g) {
    if (weight_K_[g] > 0) mean_K[g] = sum_K_[g] / weight_K_[g];
  }
  return mean_K;
}

std::vector<double> baseline_K(const RobustConfig& robust, std::span<const std::string> group_names,
                               std::span<const double> label_floor_K) {
  if (robust.baseline == Baseline::kNone) return {};
  if (robust.baseline == Baseline::kLabelEntropy) return {label_floor_K.begin(), label_floor_K.end()};
  std::vector<double> given_K;
  for (const std::string& name : group_names) {
    const auto given = robust.group_baselines.find(name);
    given_K.push_back(given == robust.group_baselines.end() ? std::numeric_limits<double>::quiet_NaN() : given->second);
  }
  return given_K;
}

}  // namespace equipoise
