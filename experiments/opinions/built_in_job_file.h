// The job files that the build puts into the program: experiments/opinions/jobs.
#pragma once

#include <string_view>

namespace equipoise::reproduce {

// `name`: one of those in CMakeLists.txt, such as "gr-dpo.yaml"; any other is our bug.
std::string_view built_in_job_file(std::string_view name);

}  // namespace equipoise::reproduce
