// Compares the group weights and losses that metrics.jsonl shows with those that follow from the ledger.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace equipoise {

// After a step.
struct ExpectedNumbers {
  std::int64_t steps_done = 0;
  std::span<const double> alpha_K;      // [K]
  std::span<const double> mean_loss_K;  // [K]  S_g / n_g, NaN: not known; empty before the first step
};

// Goes through the lines as the steps go on. Memory is bounded by the longest line, of which 64 MiB are read.
class MetricsCheck {
 public:
  // A file that is not there has no lines. Those of steps before `first_step` are left alone, and where a ledger begins
  // in the middle of a run those of that step too: they are of the run before, whose settings may have been others.
  MetricsCheck(const std::filesystem::path& file, std::vector<std::string> group_names, std::int64_t first_step,
               std::function<void(std::int64_t)> on_bytes);

  // Whether check() has something to do: else nobody needs to compute what it compares with.
  bool has_line_of(std::int64_t steps_done) const { return fault_.empty() && line_ && step_ <= steps_done; }

  // The lines of these steps; nothing is done after the first fault.
  void check(const ExpectedNumbers& expected);
  // Lines between two steps that check() is called for, where nothing is known of them: they are counted.
  struct UnknownSteps {
    std::int64_t after = 0, before = 0;  // steps done
  };
  void pass(UnknownSteps steps);
  // After the last step: lines of later ones are a fault, or where the run has not ended, left alone.
  void finish(bool has_ended);

  // "metrics.jsonl:12: group_weight of "India" is 0.25, the ledger gives 0.5"; empty: none.
  const std::string& fault() const { return fault_; }
  std::int64_t lines() const { return lines_; }  // that agree
  std::int64_t lines_passed() const { return lines_passed_; }
  std::int64_t lines_beyond() const { return lines_beyond_; }  // of steps that the ledger does not have yet

 private:
  void read_line();
  void check_line(const ExpectedNumbers& expected);
  void check_groups(const char* field, const std::string& flat, std::span<const double> expected_K, bool is_whole);
  void check_number(const std::string& field, const nlohmann::ordered_json& value, double expected);
  void refuse(const std::string& what);

  std::ifstream file_;
  const std::vector<std::string> group_names_;
  std::function<void(std::int64_t)> on_bytes_;
  std::int64_t number_ = 0;  // of the line that was read last, from 1
  std::optional<nlohmann::ordered_json> line_;
  std::int64_t step_ = 0;  // of it
  std::int64_t lines_ = 0, lines_passed_ = 0, lines_beyond_ = 0;
  std::string fault_;
};

}  // namespace equipoise
