// Which of the coordinator's variables mpirun and the ranks get. mpirun has all of them but `removed`; ranks on other
// hosts have what is passed to them by name.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/process/batch_system.h"
#include "coordinator/launch/mca_parameters.h"

namespace equipoise::coordinator {

inline constexpr const char* kAttemptTokenVariable = "EQUIPOISE_ATTEMPT_TOKEN";

struct RankEnvironment {
  std::vector<std::string> passed;   // names, for mpirun -x; the token's is among them
  std::vector<std::string> added;    // NAME=value, in mpirun's environment
  std::vector<std::string> removed;  // names that mpirun does not get
};

// Passed are NCCL_*, EQUIPOISE_*, CUDA_*, OMP_*, `named` (launch.environment) and what the operator has put into
// OMPI_MCA_mca_base_env_list, as far as `environment` ("NAME=value") has them. Open MPI refuses that list beside -x, so
// it is taken apart here.
RankEnvironment rank_environment(std::span<const std::string> environment, const McaParameters& mca,
                                 std::span<const std::string> named, Allocation allocation);

}  // namespace equipoise::coordinator
