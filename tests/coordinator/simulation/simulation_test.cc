// Thousands of lives of the coordinator's core, each drawn from a number: EQUIPOISE_SIMULATION_SEED=N runs one of them,
// EQUIPOISE_SIMULATION_SEEDS=N more than usual (`make simulate`).
#include "tests/coordinator/simulation/simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace equipoise::coordinator {
namespace simulation_test {

using ::testing::HasSubstr;

constexpr std::uint64_t kUsualSeeds = 2'500;
constexpr std::size_t kShownEvents = 200;  // the newest of a schedule that failed

std::uint64_t number_in_environment(const char* name, std::uint64_t absent) {
  const char* const text = std::getenv(name);
  return text == nullptr ? absent : std::stoull(text);
}

struct RunSummary {
  std::string broken;  // what, with its schedule; empty: nothing
  int crashes = 0, steps = 0, takeovers = 0, changes = 0, forks = 0;
};

RunSummary summary_of(std::uint64_t seed, PlantedFaults planted = {}) {
  spdlog::set_level(spdlog::level::off);
  RunSummary summary;
  Simulation simulation(seed, planted);
  try {
    simulation.run();
  } catch (const std::exception& error) {
    summary.broken = error.what();
    const auto& events = simulation.schedule();
    const std::size_t first = events.size() > kShownEvents ? events.size() - kShownEvents : 0;
    summary.broken +=
        "\nthe newest " + std::to_string(events.size() - first) + " of " + std::to_string(events.size()) + " events:";
    for (std::size_t i = first; i < events.size(); ++i) summary.broken += "\n  " + events[i];
  }
  summary.crashes = simulation.crashes();
  summary.steps = simulation.steps_on_record();
  summary.takeovers = simulation.takeovers();
  summary.changes = simulation.changes();
  summary.forks = simulation.forks();
  return summary;
}

TEST(Simulation, KeepsEveryPromiseInEveryScheduleDrawn) {
  const std::uint64_t only = number_in_environment("EQUIPOISE_SIMULATION_SEED", 0);
  const std::uint64_t seeds = number_in_environment("EQUIPOISE_SIMULATION_SEEDS", kUsualSeeds);
  const std::uint64_t first = only > 0 ? only : 1, last = only > 0 ? only : seeds;
  constexpr int kMostShown = 3;
  int broken = 0;
  std::int64_t crashes = 0, steps = 0, takeovers = 0, changes = 0, forks = 0;
  for (std::uint64_t seed = first; seed <= last && broken < kMostShown; ++seed) {
    const RunSummary run = summary_of(seed);
    crashes += run.crashes;
    steps += run.steps;
    takeovers += run.takeovers;
    changes += run.changes;
    forks += run.forks;
    if (run.broken.empty()) continue;
    ++broken;
    ADD_FAILURE() << "EQUIPOISE_SIMULATION_SEED=" << seed << ": " << run.broken;
  }
  std::cout << last - first + 1 << " schedules with " << crashes << " crashes of the coordinator, " << takeovers
            << " attempts that the next one took over, " << changes << " changes of settings, " << forks
            << " forks and " << steps << " steps on record at their ends\n";
  if (only > 0 || broken > 0) return;
  const auto runs = static_cast<std::int64_t>(seeds);
  EXPECT_GT(crashes, runs);  // otherwise nothing was tried
  EXPECT_GT(steps, 5 * runs);
  EXPECT_GT(takeovers, runs / 4);
  EXPECT_GT(changes, runs / 2);
  EXPECT_GT(forks, runs / 10);
}

std::vector<std::string> events_of(std::uint64_t seed) {
  spdlog::set_level(spdlog::level::off);
  Simulation simulation(seed);
  simulation.run();
  return simulation.schedule();
}

TEST(Simulation, IsTheSameForTheSameNumber) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) EXPECT_EQ(events_of(seed), events_of(seed)) << seed;
}

// Of the first schedules, the one in which the planted fault is found: what is said of it.
std::string found(PlantedFaults planted) {
  constexpr std::uint64_t kTried = 2000;
  for (std::uint64_t seed = 1; seed <= kTried; ++seed) {
    if (const RunSummary run = summary_of(seed, planted); !run.broken.empty()) return run.broken;
  }
  return "nothing";
}

TEST(PlantedFault, ADiskThatForgetsWhatWasSyncedIsFound) {
  EXPECT_THAT(found({.disk_ignores_syncs = true}), testing::AnyOf(HasSubstr("acknowledged"), HasSubstr("fell")));
}

TEST(PlantedFault, AnEndThatIsToldWhileRanksRunIsFound) {
  EXPECT_THAT(found({.launcher_tells_of_ends_early = true}),
              testing::AnyOf(HasSubstr("still run"), HasSubstr("on all slots")));
}

TEST(PlantedFault, ReportsThatAreNotWhatRanksDidAreFound) {
  EXPECT_THAT(found({.ranks_change_reports = true}), testing::AnyOf(HasSubstr("other losses"), HasSubstr("refused")));
}

TEST(PlantedFault, AnAttemptThatIsNotFoundAndRunsIsFound) {
  EXPECT_THAT(found({.launcher_finds_nothing = true}),
              HasSubstr("wait for a coordinator, and one that comes back says"));
}

TEST(PlantedFault, SettingsThatRanksDoNotTakeAreFound) {
  EXPECT_THAT(found({.ranks_ignore_settings = true}), HasSubstr("its ranks had the settings"));
}

TEST(PlantedFault, ACheckpointThatIsGoneBeforeItsForkHasOneIsFound) {
  EXPECT_THAT(found({.parents_remove_links = true}), HasSubstr("it has none of its own"));
}

TEST(PlantedFault, AnEvaluationThatWasAskedForAndIsNotMadeAgainIsFound) {
  EXPECT_THAT(found({.ranks_forget_evaluations = true}), HasSubstr("was not made again"));
}

}  // namespace simulation_test
}  // namespace equipoise::coordinator
