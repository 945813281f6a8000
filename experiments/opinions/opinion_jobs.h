// The jobs of the language-model experiment: supervised fine-tuning, then six methods from its model.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"
#include "experiments/report/method.h"

namespace equipoise::reproduce {

// The job files that the build puts into the program: experiments/opinions/jobs.

// `name`: one of those in CMakeLists.txt, such as "gr-dpo.yaml"; any other is our bug.
std::string_view built_in_job_file(std::string_view name);

// In the order of reports.
inline constexpr std::array kOpinionMethods{Method::kDpo, Method::kIsDpo, Method::kGrDpo,
                                            Method::kIpo, Method::kIsIpo, Method::kGrIpo};
inline constexpr const char* kSftName = "sft";

// "gr-dpo": of job files, folders and jobs.
std::string opinion_job_name(Method method);

// Settings alone: which model and data, where to and which seed is for the runner to say.
struct OpinionJobs {
  v1::JobSpec sft;
  std::array<v1::JobSpec, kOpinionMethods.size()> methods;  // in the order of kOpinionMethods
};

enum class OpinionScale {
  kReduced,  // minutes on two cores
  kQuick     // a look at everything, in seconds; learns next to nothing
};

// experiments/opinions/jobs/*.yaml, which are built into the program: for the small model of `equipoise model init`.
// docs/reproduce.md says where each number comes from.
OpinionJobs built_in_opinion_jobs(OpinionScale scale);

// FOLDER/sft.yaml, dpo.yaml, is-dpo.yaml, gr-dpo.yaml, ipo.yaml, is-ipo.yaml, gr-ipo.yaml. Throws
// std::invalid_argument for a file that is not a job file, or whose loss or robust mode is not its method's.
OpinionJobs read_opinion_jobs(const std::filesystem::path& folder);

// Checked, and with every default filled in, whether or not paths are in it yet.
JobConfig opinion_job_config(const v1::JobSpec& spec);
v1::JobSpec opinion_job_defaults(const v1::JobSpec& spec);

}  // namespace equipoise::reproduce
