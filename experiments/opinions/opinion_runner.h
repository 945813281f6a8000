// All runs of the language-model experiment, one after the other.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/data/survey.h"
#include "client/data/survey_pairs.h"
#include "client/model/model_init.h"
#include "experiments/opinions/opinion_results.h"

namespace equipoise::reproduce {

struct OpinionOptions {
  Survey survey;
  std::string survey_name;       // for people
  SurveyPairOptions pairs;       // the seed is filled in
  std::filesystem::path output;  // see ExperimentFolder
  std::uint64_t first_seed = 1;
  std::uint64_t seeds = 3;                     // at least 2: one seed has no spread
  std::optional<std::filesystem::path> model;  // absent: a new one for each seed, of this shape
  ModelInitOptions shape;                      // folder, texts and seed are filled in
  int workers = 2;                             // ranks of a run
  OpinionJobs jobs;
};

// Where the experiment stands.
struct OpinionStanding {
  std::size_t run = 0;   // this one, from 1
  std::size_t runs = 0;  // all
  std::uint64_t seed = 0;
  std::string name;                               // "GR-DPO", "SFT"
  std::optional<std::chrono::seconds> time_left;  // after this run, once others have shown how long they take
};

struct OpinionRunner {
  // Runs one job to its success, or throws.
  std::function<void(const v1::JobSpec&, const OpinionStanding&)> run_job;
  // Called after each run; `took` is absent for one that was finished before.
  std::function<void(const OpinionStanding&, const OpinionRun&, std::optional<std::chrono::seconds> took)> run_done;
};

// Runs that the output folder holds already, of the same settings, data and model, are not repeated.
// Throws std::invalid_argument for options or a survey that are not right, and what the runner throws.
OpinionResults run_opinions(const OpinionOptions& options, const OpinionRunner& runner);

}  // namespace equipoise::reproduce
