#include "worker/reference/reference_model.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <limits>
#include <mutex>
#include <sstream>

#include "tests/support/temp_folder.h"
#include "tests/worker/support/golden_model.h"
#include "worker/collective/cpu_collective.h"
#include "worker/reference/reference_probe.h"

namespace equipoise {
namespace reference_model_test {

// What all ranks got, what rank 0 logged, and how many forward passes there were.
struct Outcome {
  AnswerLogProbs values;
  std::string log;
  std::filesystem::path entry;
  int passes = 0;
};

struct Case {
  std::filesystem::path cache = {};
  torch::Dtype dtype = torch::kFloat32;
  std::int64_t token_budget = 200;
  int world_size = 1;
  const char* model = kReference;
  std::string adapter = {};
};

Outcome log_probs(const Case& run, const EncodedPairs& pairs) {
  std::ostringstream text;
  spdlog::logger log("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
  std::mutex mutex;
  Outcome outcome;
  run_ranks(run.world_size, [&](Collective& ranks) {
    ReferenceModel reference({.folder = run.model,
                              .adapter = run.adapter,
                              .dtype = run.dtype,
                              .token_budget = run.token_budget,
                              .cache = run.cache},
                             ranks, log);
    int passes = 0;
    const auto answer = reference.log_probs(pairs, "training data", [&](std::int64_t) { ++passes; });
    const std::lock_guard lock(mutex);
    outcome.passes += passes;
    if (ranks.info().rank == 0) {
      outcome.values = answer.values;
      outcome.entry = answer.entry;
    } else {
      EXPECT_TRUE(answer.entry.empty());
    }
    EXPECT_EQ(answer.values.chosen_N.size(), pairs.size());
    if (!outcome.values.chosen_N.empty()) {
      EXPECT_EQ(answer.values.chosen_N, outcome.values.chosen_N);
      EXPECT_EQ(answer.values.rejected_N, outcome.values.rejected_N);
    }
  });
  outcome.log = text.str();
  return outcome;
}

TEST(ReferenceModel, ComputesOnceAndReadsAfterwardsOnAnyNumberOfRanks) {
  const TempFolder temp;
  const auto pairs = golden_pairs();
  at::set_num_threads(1);
  const Outcome first = log_probs({.cache = temp.path(), .world_size = 2}, pairs);
  EXPECT_GT(first.passes, 1);
  EXPECT_TRUE(first.entry.empty());
  EXPECT_NE(first.log.find("16 pairs computed"), std::string::npos) << first.log;
  for (const int world_size : {1, 2, 4}) {
    const Outcome again = log_probs({.cache = temp.path(), .world_size = world_size}, pairs);
    EXPECT_EQ(again.passes, 0);
    EXPECT_FALSE(again.entry.empty());
    EXPECT_NE(again.log.find("taken from the cache"), std::string::npos) << again.log;
    EXPECT_EQ(again.values.chosen_N, first.values.chosen_N);
    EXPECT_EQ(again.values.rejected_N, first.values.rejected_N);
  }
  const Outcome without = log_probs({.cache = ""}, pairs);
  EXPECT_GT(without.passes, 1);
  EXPECT_EQ(without.values.chosen_N, first.values.chosen_N);
}

TEST(ReferenceModel, ComputesAgainWhatAnotherModelTypeOrDataSetWouldGive) {
  const TempFolder temp;
  const auto pairs = golden_pairs();
  log_probs({.cache = temp.path()}, pairs);
  EXPECT_GT(log_probs({.cache = temp.path(), .dtype = torch::kFloat64}, pairs).passes, 0);
  EXPECT_GT(log_probs({.cache = temp.path(), .token_budget = 300}, pairs).passes, 0);
  EXPECT_GT(log_probs({.cache = temp.path(), .model = kPolicy}, pairs).passes, 0);
  EXPECT_GT(log_probs({.cache = temp.path(), .adapter = lora_init_of("gemma")}, pairs).passes, 0);
  EXPECT_EQ(log_probs({.cache = temp.path(), .adapter = lora_init_of("gemma")}, pairs).passes, 0);
  EXPECT_NE(log_probs({.cache = temp.path(), .adapter = lora_init_of("gemma")}, pairs).values.chosen_N,
            log_probs({.cache = temp.path()}, pairs).values.chosen_N);
  auto fewer = owned(pairs);
  fewer.pop_back();
  EXPECT_GT(log_probs({.cache = temp.path()}, encoded(fewer)).passes, 0);
  EXPECT_EQ(log_probs({.cache = temp.path()}, pairs).passes, 0);
}

TEST(ReferenceModel, ComputesAgainWhatIsDamagedAndSaysSo) {
  const TempFolder temp;
  const auto pairs = golden_pairs();
  const Outcome first = log_probs({.cache = temp.path()}, pairs);
  const auto path = log_probs({.cache = temp.path()}, pairs).entry;
  std::string content = read_file(path);
  content[100] = static_cast<char>(content[100] ^ 1);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
  const Outcome again = log_probs({.cache = temp.path(), .world_size = 2}, pairs);
  EXPECT_GT(again.passes, 0);
  EXPECT_NE(again.log.find("checksum does not match; computed again"), std::string::npos) << again.log;
  EXPECT_EQ(again.values.chosen_N, first.values.chosen_N);
  EXPECT_EQ(log_probs({.cache = temp.path()}, pairs).passes, 0);
}

TEST(ReferenceModel, GoesOnWhereNothingCanBeKept) {
  const TempFolder temp;
  const Outcome outcome = log_probs({.cache = temp.write("file", "not a folder")}, golden_pairs());
  EXPECT_GT(outcome.passes, 0);
  EXPECT_NE(outcome.log.find("cannot be kept"), std::string::npos) << outcome.log;
}

// `golden`: as TRL and transformers computed them, with ref_chosen_logps and ref_rejected_logps in every row.
EncodedPairs with_own_log_probs(const std::string& whose, double change = 0) {
  std::vector<OwnedPair> pairs = owned(golden_pairs());
  const auto golden = read_json(golden_file("pairs.json"))["pairs"];
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i].reference = ReferenceLogProbs{.chosen = golden[i][whose + "_chosen_logp"].get<double>() + change,
                                           .rejected = golden[i][whose + "_rejected_logp"]};
  }
  return encoded(pairs);
}

TEST(ReferenceModel, TakesTheDatasOwnLogProbsWhereTheyAreItsOwn) {
  const TempFolder temp;
  const EncodedPairs pairs = with_own_log_probs("reference");
  for (const int world_size : {1, 3}) {
    const Outcome given = log_probs({.cache = temp.path(), .world_size = world_size}, pairs);
    EXPECT_EQ(given.passes, 0);
    EXPECT_EQ(given.values.chosen_N[3], pairs[3].reference->chosen);
    EXPECT_EQ(given.values.rejected_N[3], pairs[3].reference->rejected);
    EXPECT_NE(given.log.find("all 16 pairs have their own"), std::string::npos) << given.log;
  }
  EXPECT_TRUE(std::filesystem::is_empty(temp.path()));  // nothing was computed that could be kept
}

TEST(ReferenceModel, RefusesLogProbsOfAnotherModel) {
  for (const EncodedPairs& pairs : {with_own_log_probs("policy"), with_own_log_probs("reference", -1)}) {
    try {
      log_probs({}, pairs);
      FAIL() << "accepted";
    } catch (const std::invalid_argument& refused) {
      const std::string message = refused.what();
      EXPECT_NE(message.find("ref_chosen_logps and ref_rejected_logps of the training data are not of this reference"),
                std::string::npos)
          << message;
    }
  }
}

TEST(ReferenceProbe, FindsTheSameModelTheSameWhateverItsBatches) {
  const auto pairs = golden_pairs();
  for (const torch::Dtype dtype : {torch::kFloat32, torch::kFloat64}) {
    const Outcome reference = log_probs({.dtype = dtype, .token_budget = 1 << 20, .model = kPolicy}, pairs);
    const ProbeResult probe = probe_reference(golden_decoder(kPolicy, dtype), pairs, reference.values, 100);
    EXPECT_TRUE(probe.is_same) << probe.largest_difference;
    EXPECT_GE(probe.pairs, 8u);
    EXPECT_LE(probe.pairs, 12u);
  }
}

TEST(ReferenceProbe, FindsTheLargestDifferenceOfAnotherModel) {
  const auto pairs = golden_pairs();
  const auto golden = read_json(golden_file("pairs.json"))["pairs"];
  const Outcome reference = log_probs({.model = kReference}, pairs);
  const ProbeResult probe = probe_reference(golden_decoder(kPolicy), pairs, reference.values, 4096);
  EXPECT_FALSE(probe.is_same);
  double largest = 0;
  for (std::size_t i = 0; i < 16; i += 2) {  // every second of the 16
    for (const std::string answer : {"chosen", "rejected"}) {
      const double policy = golden[i]["policy_" + answer + "_logp"];
      largest = std::max(largest, std::abs(policy - golden[i]["reference_" + answer + "_logp"].get<double>()));
    }
  }
  EXPECT_GE(probe.largest_difference, largest - 1e-3);  // other pairs may be looked at too
  EXPECT_LT(probe.mean_difference, probe.largest_difference);
  EXPECT_NEAR(std::abs(probe.policy_logp - probe.reference_logp), probe.largest_difference, 1e-9);
  EXPECT_NE(largest_difference_text(probe).find("by the policy"), std::string::npos);
}

TEST(ReferenceProbe, FindsOneWrongNumberAmongThoseItLooksAt) {
  const auto pairs = golden_pairs();
  Outcome reference = log_probs({.model = kPolicy}, pairs);
  reference.values.rejected_N[4] += 0.1;
  const ProbeResult probe = probe_reference(golden_decoder(kPolicy), pairs, reference.values, 4096);
  EXPECT_FALSE(probe.is_same);
  EXPECT_EQ(probe.largest_pair, 4u);
}

// Pair 3 is none of the eight.
TEST(ReferenceProbe, LooksAtTheNumbersThatAreFarFromTheOthers) {
  const auto pairs = golden_pairs();
  const Outcome reference = log_probs({.model = kPolicy}, pairs);
  for (const double wrong : {-1e308, 0.0, std::numeric_limits<double>::quiet_NaN()}) {
    AnswerLogProbs values = reference.values;
    values.chosen_N[3] = wrong;
    EXPECT_FALSE(probe_reference(golden_decoder(kPolicy), pairs, values, 4096).is_close) << wrong;
  }
}

}  // namespace reference_model_test
}  // namespace equipoise
