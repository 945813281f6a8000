#include "worker/collective/device_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "worker/collective/thread_collective.h"

namespace equipoise {
namespace device_choice_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Property;
using ::testing::Throws;

auto refused_with(const std::string& text) {
  return Throws<std::invalid_argument>(Property(&std::invalid_argument::what, HasSubstr(text)));
}

std::vector<std::size_t> choose(const std::vector<VisibleDevices>& seen_L) { return choose_devices(seen_L); }

TEST(DeviceChoice, TakesTheNumberOfTheLocalRankWhereAllRanksSeeAllGpus) {
  EXPECT_THAT(choose({{"a", "b", "c"}, {"a", "b", "c"}}), ElementsAre(0, 1));
}

// Slurm's --gpus-per-task once made "1 GPUs and 2 ranks" of this.
TEST(DeviceChoice, TakesItsOwnGpuWhereEachRankSeesAnother) {
  EXPECT_THAT(choose({{"a"}, {"b"}, {"c"}}), ElementsAre(0, 0, 0));
}

// Every way in which 3 ranks may see some of 3 GPUs, in some order: a choice that is made gives each rank a GPU of its
// own, and one is made wherever there is one.
TEST(DeviceChoice, FindsAChoiceWhereverThereIsOne) {
  std::vector<VisibleDevices> lists;
  for (const char* a : {"", "a", "b", "c"}) {
    for (const char* b : {"", "a", "b", "c"}) {
      VisibleDevices list;
      for (const std::string uuid : {a, b}) {
        if (!uuid.empty() && (list.empty() || list.front() != uuid)) list.push_back(uuid);
      }
      if (!list.empty()) lists.push_back(list);
    }
  }
  const auto exists = [](const std::vector<VisibleDevices>& seen_L) {
    for (const auto& a : seen_L[0]) {
      for (const auto& b : seen_L[1]) {
        for (const auto& c : seen_L[2]) {
          if (a != b && b != c && a != c) return true;
        }
      }
    }
    return false;
  };
  for (const auto& first : lists) {
    for (const auto& second : lists) {
      for (const auto& third : lists) {
        const std::vector<VisibleDevices> seen_L = {first, second, third};
        if (!exists(seen_L)) {
          EXPECT_THROW(choose(seen_L), std::invalid_argument);
          continue;
        }
        const auto number_L = choose(seen_L);
        std::set<std::string> taken;
        for (std::size_t rank = 0; rank < 3; ++rank) taken.insert(seen_L[rank].at(number_L[rank]));
        EXPECT_EQ(taken.size(), 3U);
      }
    }
  }
}

TEST(DeviceChoice, RefusesMoreRanksThanGpus) {
  EXPECT_THAT(
      [] {
        choose({{"a", "b"}, {"a", "b"}, {"a", "b"}});
      },
      refused_with("the 3 ranks of this host see 2 GPUs and cannot have one each"));
  EXPECT_THAT([] { choose({{"a"}, {"a"}}); }, refused_with("the 2 ranks of this host see 1 GPU and"));
  // Three GPUs, but two of the ranks see only one and the same.
  EXPECT_THAT([] { choose({{"a"}, {"a"}, {"a", "b", "c"}}); }, refused_with("the 3 ranks of this host see 3 GPUs and"));
}

TEST(DeviceChoice, RefusesARankThatSeesNone) {
  EXPECT_THAT([] { choose({{"a"}, {}}); }, refused_with("local rank 1 sees no GPU"));
}

TEST(DeviceChoice, GathersWhatEveryRankSees) {
  run_ranks(3, [](Collective& local) {
    const std::vector<VisibleDevices> all = {{"GPU-0", "GPU-1"}, {}, {"GPU-2"}};
    EXPECT_EQ(gathered_devices(all[static_cast<std::size_t>(local.info().rank)], local), all);
  });
}

}  // namespace device_choice_test
}  // namespace equipoise
