#include "worker/collective/broadcast.h"

#include <gtest/gtest.h>

#include "equipoise/v1/job.pb.h"
#include "worker/collective/cpu_collective.h"

namespace equipoise {
namespace broadcast_test {

TEST(Broadcast, GivesEveryRankTheTextOfTheRoot) {
  for (const int world_size : {1, 2, 4, 7}) {
    for (const int root : {0, world_size - 1}) {
      run_ranks(world_size, [&](Collective& ranks) {
        const int rank = ranks.info().rank;
        std::string text = rank == root ? "a\nb" : std::string(static_cast<std::size_t>(rank), 'x');
        broadcast_text(text, root, ranks);
        EXPECT_EQ(text, "a\nb") << rank << " of " << world_size;
        if (rank == root) text.clear();
        broadcast_text(text, root, ranks);
        EXPECT_EQ(text, "") << rank << " of " << world_size;
      });
    }
  }
}

TEST(Broadcast, ReplacesAllFieldsOfAMessage) {
  run_ranks(3, [](Collective& ranks) {
    v1::JobSpec spec;
    spec.set_name("of " + std::to_string(ranks.info().rank));
    if (ranks.info().rank == 1) {
      spec.mutable_data()->set_train("train.jsonl");
    } else {
      spec.set_output("another's");
    }
    broadcast_message(spec, 1, ranks);
    EXPECT_EQ(spec.name(), "of 1");
    EXPECT_EQ(spec.data().train(), "train.jsonl");
    EXPECT_EQ(spec.output(), "");
  });
}

}  // namespace broadcast_test
}  // namespace equipoise
