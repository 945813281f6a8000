#include "worker/objective/label_noise.h"

#include <algorithm>
#include <stdexcept>

#include "common/base/quoted_text.h"

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

}  // namespace equipoise
