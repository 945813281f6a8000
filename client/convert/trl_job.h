// A job from settings by TRL's names: what depends on several of them at once.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "client/convert/conversion.h"
#include "client/convert/given_settings.h"

namespace equipoise {

// Reads `given` and adds to `result`. Both outlive it.
class TrlJob {
 public:
  TrlJob(const ConversionRequest& request, const GivenSettings& given, Conversion& result);

  // Sets the job's `key` from the YAML value; what is wrong with it becomes a fault of `name`.
  void set(std::string_view name, std::string_view key, const YAML::Node& value);
  void note(std::string_view name, const std::string& text);
  void fault(std::string_view name, const std::string& text);

  // All settings of the rule kComputed.
  void compute();

 private:
  const GivenSetting* find(std::string_view name) const;
  bool is_given(std::string_view name) const;                // not by default
  std::string_view shown_name(std::string_view name) const;  // as the configuration has it, or would
  std::string why_unread(std::string_view name, const TrainerSetting& setting) const;
  std::string place_text(std::string_view name) const;     // "dpo.yaml:7: beta: "
  std::optional<std::string> text(std::string_view name);  // nothing too where it is a list or a mapping
  std::optional<double> number(std::string_view name);     // as text; a fault where it is no number
  bool truth(std::string_view name);                       // false where it is absent
  std::vector<std::string> texts(std::string_view name);   // one or a list
  void set_number(std::string_view name, std::string_view key, double value);
  void set_text(std::string_view name, std::string_view key, const std::string& value);

  void name_unread();  // of what is given

  void names();
  void model();
  void adapter();
  void data();
  void data_list(std::string_view name, std::string_view one_key, std::string_view list_key);
  void loss();
  void batch();
  void schedule();
  void optimizer();
  void logging();
  void evaluation();
  void checkpoints();

  std::string job_path(const std::string& path) const;
  std::optional<std::string> split_path(std::string_view name, const std::string& split);
  std::optional<std::string> hub_file(const YAML::Node& entry, std::string_view name);
  std::optional<std::string> no_part(std::string_view name, const std::string& split);  // nothing, with a fault

  // Of the whole run, and of one epoch; the pairs are counted where that needs it. Nothing, with a fault of `name`,
  // where they cannot be.
  std::optional<double> total_steps(std::string_view name);
  std::optional<double> epoch_steps(std::string_view name);
  // A number of steps, or a share of all below 1.
  std::optional<double> steps_of(std::string_view name, double value);

  const ConversionRequest& request_;
  const GivenSettings& given_;
  Conversion& result_;
  std::optional<double> pairs_;
  std::set<std::string, std::less<>> read_;  // settings whose values were looked at
};

}  // namespace equipoise
