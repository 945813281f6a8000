// What an evaluation found about every pair of a file, and the two files it is written to.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "worker/data/encoded_dataset.h"
#include "worker/reference/answer_log_probs.h"

namespace equipoise {

// A file that another process has made, filled with text.
class TextSink {
 public:
  // Writes over what is there. All of these throw std::runtime_error naming the path and the cause.
  explicit TextSink(std::filesystem::path path);
  void write(std::string_view text);
  void close();  // all text has left the program

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  [[noreturn]] void fail() const;

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
};

enum class RejectedAnswers { kScored, kNone };  // kNone: loss.type sft, whose data need not have any

// N pairs of the data set that were scored.
struct EvaluatedPairs {
  const EncodedDataset& data;
  RejectedAnswers rejected = RejectedAnswers::kScored;
  AnswerLogProbs policy;
  AnswerLogProbs reference;  // empty: there is none
  std::vector<double> loss_N;
  std::vector<double> chosen_reward_N, rejected_reward_N;
};

// Writes over `path`, an existing file: one JSON object a line for each pair of the data file, in its order, as
// docs/formats.md describes. Throws std::runtime_error naming the path and the cause if the disk refuses.
void write_pairs(const EvaluatedPairs& pairs, const std::filesystem::path& path);

// A JSON object: means and standard errors over all pairs and of each group, how many pairs were left out, and why.
//   {"pairs": n, "dropped": n, "shortened": n, "dropped_reason": text, "all": GROUP, "groups": [GROUP, ...]}
//   GROUP: {"name", "pairs", "dropped", "loss", "loss_error", "reward_accuracy", "reward_accuracy_error",
//           "logp_accuracy", "logp_accuracy_error"}; what there is no number for is left out
// Throws as write_pairs.
void write_summary(const EvaluatedPairs& pairs, const std::filesystem::path& path);

}  // namespace equipoise
