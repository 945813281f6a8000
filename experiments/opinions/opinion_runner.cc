#include "experiments/opinions/opinion_runner.h"

#include <limits>
#include <stdexcept>

#include "client/data/survey_import.h"
#include "common/config/job_file.h"
#include "experiments/opinions/experiment_folder.h"
#include "experiments/opinions/opinion_report.h"
#include "experiments/report/statistics.h"

namespace equipoise::reproduce {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMostSeeds = 1000;

SurveyPairOptions pair_options(const OpinionOptions& options, std::uint64_t seed) {
  SurveyPairOptions pairs = options.pairs;
  pairs.seed = seed;
  return pairs;
}

// Before anything is written.
void check_options(const OpinionOptions& options) {
  if (options.seeds < 2 || options.seeds > kMostSeeds) {
    throw std::invalid_argument("seeds is " + std::to_string(options.seeds) + ", expected 2 to " +
                                std::to_string(kMostSeeds));
  }
  if (options.first_seed > std::numeric_limits<std::uint64_t>::max() - kMostSeeds) {
    throw std::invalid_argument("first-seed is " + std::to_string(options.first_seed) + ", expected a smaller one");
  }
  make_survey_pairs(options.survey, pair_options(options, options.first_seed));
}

// A model to start from, and what it follows from.
struct Model {
  std::filesystem::path folder;
  std::string fingerprint;
  std::optional<std::filesystem::path> adapter = {};  // a folder; on the model in `folder`
};

class Experiment {
 public:
  Experiment(const OpinionOptions& options, const OpinionRunner& runner)
      : options_(options),
        runner_(runner),
        given_model_(options.model ? Fingerprint().add_model("model", *options.model).text() : ""),
        folder_(options.output) {
    check_report_folder(folder_.report(), opinion_report_names());
    standing_.runs = options.seeds * (1 + kOpinionMethods.size());
    results_.survey = options.survey_name;
    results_.jobs = options.jobs;
    results_.runs.resize(kOpinionMethods.size());
    if (options.model) results_.model = "the model " + options.model->filename().string();
  }

  void run_seed(std::uint64_t seed) {
    standing_.seed = seed;
    const SurveyImport data = import(seed);
    const Model base = base_model(seed, data);
    const Model sft = run(options_.jobs.sft, "SFT", kSftName, data, base, results_.sft);
    for (std::size_t m = 0; m < kOpinionMethods.size(); ++m) {
      const Method method = kOpinionMethods[m];
      run(options_.jobs.methods[m], std::string(method_name(method)), opinion_job_name(method), data, sft,
          results_.runs[m]);
    }
  }

  OpinionResults finish() { return std::move(results_); }

 private:
  SurveyImport import(std::uint64_t seed) {
    const SurveyImport data =
        write_survey_pairs(make_survey_pairs(options_.survey, pair_options(options_, seed)), folder_.data(seed));
    if (results_.groups.empty()) {
      for (const SurveyGroupSummary& group : data.groups) {
        results_.groups.push_back(group.group);
        results_.sizes_K.push_back({group.train_pairs, group.validation_pairs});
      }
    }
    return data;
  }

  Model base_model(std::uint64_t seed, const SurveyImport& data) {
    if (options_.model) return {std::filesystem::absolute(*options_.model).lexically_normal(), given_model_};
    ModelInitOptions shape = options_.shape;
    shape.folder = folder_.model(seed);
    shape.texts = {data.train};
    shape.seed = seed;
    const std::string fingerprint = Fingerprint().add("shape", shape_text(shape)).add_file("texts", data.train).text();
    if (!is_finished(shape.folder, fingerprint)) {
      std::filesystem::remove_all(shape.folder);
      init_gemma(shape);
      mark_finished(shape.folder, fingerprint);
    }
    if (results_.model.empty()) results_.model = "a small Gemma of random weights";
    return {shape.folder, fingerprint};
  }

  static std::string shape_text(const ModelInitOptions& shape) {
    std::string text;
    for (const std::int64_t size :
         {static_cast<std::int64_t>(shape.vocab_size), shape.hidden_size, shape.intermediate_size, shape.layers,
          shape.heads, shape.kv_heads, shape.head_dim, shape.max_positions, static_cast<std::int64_t>(shape.seed)}) {
      text += std::to_string(size) + " ";
    }
    return text + significant_text(shape.initializer_range, 15);
  }

  // Runs one job unless it is finished, and reads what it left. Returns its model.
  Model run(const v1::JobSpec& settings, const std::string& label, const std::string& name, const SurveyImport& data,
            const Model& start, std::vector<OpinionRun>& runs) {
    ++standing_.run;
    standing_.name = label;
    standing_.time_left = time_left();
    const std::filesystem::path output = folder_.run(standing_.seed, name);
    const std::string fingerprint = Fingerprint()
                                        .add("settings", settings_text(settings, standing_.seed))
                                        .add("model", start.fingerprint)
                                        .add_file("train", data.train)
                                        .add_file("validation", data.validation)
                                        .text();
    std::optional<std::chrono::seconds> took;
    if (!is_finished(output, fingerprint)) {
      const auto begin = Clock::now();
      unmark_finished(output);
      runner_.run_job(job_spec(settings, name, data, start, output), standing_);
      mark_finished(output, fingerprint);
      took = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin);
      (name == kSftName ? sft_seconds_ : method_seconds_)
          .push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    }
    runs.push_back(read_opinion_run(output / "metrics.jsonl", results_.groups, standing_.seed));
    runner_.run_done(standing_, runs.back(), took);
    if (std::filesystem::exists(output / "final" / "adapter_config.json")) {
      return {.folder = start.folder, .fingerprint = fingerprint, .adapter = output / "final"};
    }
    return {.folder = output / "final", .fingerprint = fingerprint, .adapter = {}};
  }

  // All that decides the result, beside the data and the model: not where files are, nor how many ranks share the work.
  static std::string settings_text(v1::JobSpec spec, std::uint64_t seed) {
    spec.clear_name();
    spec.clear_output();
    spec.clear_launch();
    spec.mutable_model()->clear_path();
    spec.mutable_model()->clear_adapter();
    spec.mutable_model()->clear_reference();
    spec.mutable_data()->clear_train();
    spec.mutable_data()->clear_validation();
    spec.mutable_training()->set_seed(seed);
    return job_spec_to_yaml(spec);
  }

  v1::JobSpec job_spec(v1::JobSpec spec, const std::string& name, const SurveyImport& data, const Model& start,
                       const std::filesystem::path& output) const {
    spec.set_name("seed-" + std::to_string(standing_.seed) + "-" + name);
    spec.mutable_model()->set_path(start.folder.string());
    spec.mutable_model()->clear_adapter();
    if (start.adapter) {
      spec.mutable_model()->clear_lora();  // training goes on with the adapter there is
      spec.mutable_model()->set_adapter(start.adapter->string());
    }
    spec.mutable_model()->clear_reference();
    spec.mutable_data()->set_train(data.train.string());
    spec.mutable_data()->set_validation(data.validation.string());
    spec.mutable_training()->set_seed(standing_.seed);
    spec.mutable_launch()->set_mode(v1::LAUNCH_MODE_COORDINATOR);
    spec.mutable_launch()->set_workers(options_.workers);
    spec.set_output(output.string());
    spec.set_overwrite(true);
    return spec;
  }

  // By the mean of the runs of each kind so far; once both kinds are known.
  std::optional<std::chrono::seconds> time_left() const {
    if (sft_seconds_.empty() || method_seconds_.empty()) return std::nullopt;
    const std::size_t seeds_begun = (standing_.run - 1) / (1 + kOpinionMethods.size()) + 1;
    const auto sft_left = static_cast<double>(options_.seeds - seeds_begun);
    const double methods_left = static_cast<double>(standing_.runs - standing_.run) - sft_left;
    return std::chrono::seconds(
        static_cast<std::int64_t>(sft_left * mean(sft_seconds_) + methods_left * mean(method_seconds_)));
  }

  const OpinionOptions& options_;
  const OpinionRunner& runner_;
  const std::string given_model_;  // its fingerprint
  const ExperimentFolder folder_;
  OpinionStanding standing_;
  std::vector<double> sft_seconds_, method_seconds_;  // of the runs of this start
  OpinionResults results_;
};

}  // namespace

OpinionResults run_opinions(const OpinionOptions& options, const OpinionRunner& runner) {
  check_options(options);
  Experiment experiment(options, runner);
  for (std::uint64_t i = 0; i < options.seeds; ++i) experiment.run_seed(options.first_seed + i);
  return experiment.finish();
}

}  // namespace equipoise::reproduce
