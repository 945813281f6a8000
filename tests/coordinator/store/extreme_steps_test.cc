// Whatever a step reports, what is stored of it can be loaded. A coordinator stored log weights that were no numbers,
// of a pair count of 5e-324, and could not start again.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/store/job_store.h"
#include "coordinator/weights/weight_owner.h"
#include "tests/coordinator/support/fuzz_records.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace extreme_steps_test {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::array kExtremes = {0.0,  -0.0, 5e-324, -5e-324, 1e-310, 2.3e-308, 1e-300, 1e-6,    -1e-6,   1.0,
                                  -1.0, 16.0, 1e6,    1e150,   -1e150, 1e300,    -1e300, 1.7e308, -1.7e308};

using Random = std::mt19937_64;

bool one_in(Random& random, std::uint64_t n) { return random() % n == 0; }

// Any float64, NaN and infinity too, or one of those at the edges, or an ordinary one.
double any_number(Random& random) {
  if (one_in(random, 3)) return kExtremes[random() % kExtremes.size()];
  if (one_in(random, 3)) return std::bit_cast<double>(random());
  return std::ldexp(1.0, static_cast<int>(random() % 20) - 10);
}

// Mostly one that a report may have as a size.
double any_size(Random& random) {
  const double number = any_number(random);
  return one_in(random, 50) ? number : std::abs(number) > 0 ? std::abs(number) : 1;
}

v1::ReportStepRequest any_request(Random& random, std::int64_t step, std::uint32_t groups) {
  v1::ReportStepRequest request;
  request.set_generation(1);
  request.set_step(step);
  for (std::uint32_t group = 0; group < groups; ++group) {
    if (one_in(random, 4)) continue;
    request.add_group(group);
    request.add_loss_sum(any_number(random));
    request.add_pair_count(any_size(random));
    if (one_in(random, 20)) request.add_non_finite_group(group);
  }
  request.set_batch_pairs(any_size(random));
  return request;
}

struct Case {
  RobustSettings settings;
  std::vector<double> pair_count_K;
};

std::vector<Case> every_case() {
  std::vector<Case> cases;
  const std::vector<std::vector<double>> sizes = {{4, 2, 3}, {1e-6, 1e6, 1}, {5e-324, 1, 1e300}};
  for (const std::vector<double>& pair_count_K : sizes) {
    for (const auto estimator :
         {Estimator::kBatchMean, Estimator::kDatasetScaled, Estimator::kBatchSum, Estimator::kUnbiased}) {
      RobustSettings settings;
      settings.mode = RobustMode::kGroupRobust;
      settings.estimator = estimator;
      settings.step_size = estimator == Estimator::kBatchSum ? 1e300 : 0.5;
      settings.adjustment = 1e300;
      settings.baseline_K = {-1.7e308, 0, 1.7e308};
      settings.step_plateau = {.factor = 0.5, .patience = 3};
      cases.push_back({.settings = settings, .pair_count_K = pair_count_K});
    }
  }
  for (const auto set : {AmbiguitySet::kCvar, AmbiguitySet::kChiSquare, AmbiguitySet::kKl}) {
    RobustSettings settings;
    settings.mode = RobustMode::kGroupRobust;
    settings.ambiguity_set = set;
    settings.kappa = 0.3;
    settings.rho = 0.2;
    settings.tau = 1e-9;
    cases.push_back({.settings = settings, .pair_count_K = {4, 2, 3}});
  }
  return cases;
}

std::string bits_of(const std::vector<double>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)};
}

// Steps that an owner takes, kept a thousand at a time, as an earlier coordinator would have kept them.
class ExtremeSteps : public ::testing::Test {
 protected:
  WeightOwner owner_of(const Case& one) const {
    return {one.settings, {.names = {"a", "b", "c"}, .pair_count_K = one.pair_count_K}, 9};
  }
  // The steps among `reports` requests that prepare() took.
  std::vector<StepRecord> taken(WeightOwner& owner, int reports) {
    std::vector<StepRecord> records;
    for (int i = 0; i < reports; ++i) {
      try {
        records.push_back(owner.prepare(any_request(random_, owner.next_step(), 3)));
      } catch (const std::invalid_argument&) {
        continue;
      }
      owner.accept(records.back());  // restore() refuses nothing that prepare() took
    }
    return records;
  }
  void expect_loads(const Case& one, const std::string& job, std::int64_t steps, const WeightOwner& owner) {
    WeightOwner restored = owner_of(one);
    const auto stored = store_.steps(job, 0, {.rows = steps, .bytes = std::size_t{1} << 30});
    ASSERT_EQ(static_cast<std::int64_t>(stored.size()), steps) << job;
    for (const StepRecord& record : stored) restored.replay(record);  // gives the bits that are on record
    EXPECT_EQ(bits_of(restored.log_alpha_K()), bits_of(owner.log_alpha_K())) << job;
    EXPECT_EQ(bits_of(restored.group_loss_K()), bits_of(owner.group_loss_K())) << job;
    // The same from the newest state, with a few steps after it.
    const auto state = store_.step_rows().state(job, 1, steps);
    ASSERT_TRUE(state) << job;
    EXPECT_LE(steps - state->steps(), kMostReplayedSteps) << job;
    restored.restore(*state);
    for (std::int64_t step = state->steps(); step < steps; ++step) {
      restored.replay(stored[static_cast<std::size_t>(step)]);
    }
    EXPECT_EQ(restored.state().SerializeAsString(), owner.state().SerializeAsString()) << job;
  }

  TempFolder folder_;
  JobStore store_{folder_.path() / "test.sqlite3"};
  Random random_{12};
};

TEST_F(ExtremeSteps, AreRefusedOrCanBeLoaded) {
  const std::vector<Case> cases = every_case();
  const int reports = fuzz_records(200'000) / static_cast<int>(cases.size());  // of each
  for (std::size_t i = 0; i < cases.size(); ++i) {
    WeightOwner owner = owner_of(cases[i]);
    const std::vector<StepRecord> records = taken(owner, reports);
    ASSERT_GT(records.size(), 500u) << "case " << i << " refuses nearly all";
    const std::string job = "case " + std::to_string(i);
    store_.insert_steps(job, 1, records);
    expect_loads(cases[i], job, static_cast<std::int64_t>(records.size()), owner);
  }
}

TEST_F(ExtremeSteps, ThatWouldLeaveNoWeightsAreRefusedAndChangeNothing) {
  RobustSettings settings;
  settings.mode =
      RobustMode::kGroupRobust;  // kUnbiased: an unknown loss is the mean of the batch, infinity less itself
  const WeightOwner owner(settings, {.names = {"a", "b", "c"}, .pair_count_K = {1, 1, 1}}, 3);
  v1::ReportStepRequest request;
  for (const std::uint32_t group : {0U, 1U}) {
    request.add_group(group);
    request.add_loss_sum(1.7e308);
    request.add_pair_count(1.7e308);
  }
  request.set_batch_pairs(1.7e308);
  try {
    owner.prepare(request);
    FAIL() << "the sums of losses and of pairs are both " << kInfinity;
  } catch (const std::invalid_argument& refused) {
    EXPECT_EQ(std::string(refused.what()),
              "step 0: loss_sum, pair_count and batch_pairs are too extreme for weights to follow from them: one "
              "of its weights is not finite");
  }
  EXPECT_EQ(owner.next_step(), 0);
  EXPECT_EQ(owner.alpha_K(), (std::vector<double>(3, 1.0 / 3)));
}

}  // namespace extreme_steps_test
}  // namespace equipoise::coordinator
