// What the paper's synthetic experiment consists of: scenarios, methods and their published settings. docs/reproduce.md
// says where each number comes from.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "client/data/preference_generator.h"
#include "experiments/bandits/engine.h"
#include "experiments/report/method.h"

namespace equipoise::reproduce {

// Settings of the DPO family; those of the IPO family are the same in all scenarios.
struct Scenario {
  std::string_view name;  // "even_imbalanced"
  std::string_view title;
  log_linear::Responses responses;
  std::array<std::uint64_t, 2> train_sizes_K;
  double dpo_beta;
  double dpo_learning_rate;
  double dpo_alpha_step;  // eta_alpha
  std::int64_t dpo_iterations;
};

// In the paper's order.
std::span<const Scenario> paper_scenarios();

inline constexpr std::array kMethods{Method::kDpo,   Method::kIsDpo, Method::kGrDpo,       Method::kIpo,
                                     Method::kIsIpo, Method::kGrIpo, Method::kGrIpoAuthors};
// chi = 1 is the paper's objective; chi = 0 counts every group alike.
inline constexpr std::array kTradeOffs{0.0, 0.25, 0.5, 0.75, 1.0};

// The runs whose duality gap is followed.
enum class GapMethod { kGrDpo, kGrIpoGradient, kGrIpoClosed };
inline constexpr std::array kGapMethods{GapMethod::kGrDpo, GapMethod::kGrIpoGradient, GapMethod::kGrIpoClosed};

std::string_view gap_method_name(GapMethod method);
Family family_of(GapMethod method);

struct RunSettings {
  log_linear::EngineSettings engine;
  std::int64_t iterations = 0;
};

RunSettings method_settings(const Scenario& scenario, Method method);
// The family's group-robust method with another chi.
RunSettings trade_off_settings(const Scenario& scenario, Family family, double trade_off);
RunSettings gap_settings(const Scenario& scenario, GapMethod method);

// Two groups that want opposite things, eight actions, states in [0,1)^2, theta uniform in [0,5)^4.
log_linear::Problem paper_problem(log_linear::FeatureMap features, std::uint64_t seed);
inline constexpr std::array<std::uint64_t, 2> kEvaluationSizes{500, 500};  // of validation and of test pairs

// 0, then about `per_decade` numbers in each power of ten, ascending and different, and `last`.
std::vector<std::int64_t> log_spaced_iterations(std::int64_t last, int per_decade);

}  // namespace equipoise::reproduce
