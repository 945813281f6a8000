#include "common/process/batch_system.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <span>
#include <string_view>

namespace equipoise {
namespace {

struct BatchSystem {
  const char* name;
  const char* job_variable;  // set inside of a job
};

constexpr std::array kBatchSystems{BatchSystem{"Slurm", "SLURM_JOB_ID"},  BatchSystem{"Slurm", "SLURM_JOBID"},
                                   BatchSystem{"PBS", "PBS_JOBID"},       BatchSystem{"LSF", "LSB_JOBID"},
                                   BatchSystem{"Cobalt", "COBALT_JOBID"}, BatchSystem{"LoadLeveler", "LOADL_STEP_ID"}};

// Beginnings of names. A name without an underscore at its end is whole.
constexpr std::array<std::string_view, 14> kOfBatchSystems = {
    "SLURM_",  "SLURMD_", "PBS_",   "LSB_",  "LS_JOBPID",          "LSF_PM_", "PE_HOSTFILE",
    "COBALT_", "LOADL_",  "BASIL_", "ALPS_", "BATCH_PARTITION_ID", "JSM_",    "FLUX_"};
constexpr std::array<std::string_view, 3> kOfAnyLauncher = {"PMIX_", "PMI_", "MPI_LOCALRANKID"};
// These count only beside OMPI_COMM_WORLD_RANK: some may be a user's own settings otherwise.
constexpr std::array<std::string_view, 14> kOfMpirun = {"OMPI_COMM_",
                                                        "OMPI_UNIVERSE_SIZE",
                                                        "OMPI_COMMAND",
                                                        "OMPI_ARGV",
                                                        "OMPI_NUM_APP_CTX",
                                                        "OMPI_FIRST_RANKS",
                                                        "OMPI_APP_",
                                                        "OMPI_FILE_",
                                                        "OMPI_MCA_ess_",
                                                        "OMPI_MCA_ess",
                                                        "OMPI_MCA_orte_",
                                                        "OMPI_MCA_pmix",
                                                        "OMPI_MCA_initial_wdir",
                                                        "OMPI_MCA_shmem_RUNTIME_"};

bool is_of(std::string_view name, std::span<const std::string_view> beginnings) {
  return std::ranges::any_of(beginnings, [&](std::string_view beginning) {
    return beginning.ends_with('_') ? name.starts_with(beginning) : name == beginning;
  });
}

}  // namespace

std::optional<std::string> allocation_text() {
  for (const BatchSystem& system : kBatchSystems) {
    if (const char* job = std::getenv(system.job_variable)) return std::string("job ") + job + " of " + system.name;
  }
  if (std::getenv("PE_HOSTFILE") != nullptr) return "a job of Grid Engine";
  return std::nullopt;
}

std::vector<std::string> variables_hidden_from_mpirun(Allocation allocation) {
  const bool is_below_mpirun = std::getenv("OMPI_COMM_WORLD_RANK") != nullptr;
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    const std::string_view name = variable.substr(0, variable.find('='));
    const bool is_hidden =
        is_of(name, kOfAnyLauncher) || (is_below_mpirun && is_of(name, kOfMpirun)) ||
        (allocation == Allocation::kIgnored && (is_of(name, kOfBatchSystems) || is_of(name, kWaysOfBatchSystems)));
    if (is_hidden) names.emplace_back(name);
  }
  return names;
}

}  // namespace equipoise
