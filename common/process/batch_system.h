// The variables by which batch systems and launchers tell a program where it runs. mpirun reads them and starts its
// ranks on the nodes that they name, unless it does not get them.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace equipoise {

// The allocation that this process runs in, for people: "job 77 of Slurm". Nothing outside of one.
std::optional<std::string> allocation_text();

// Whether an mpirun of ours is to start its ranks on the nodes of the allocation that it runs in.
enum class Allocation { kIgnored, kUsed };

// Settings of Open MPI that choose a batch system's ways to find and start ranks, which fail where its allocation is
// ignored.
inline constexpr std::array<std::string_view, 6> kWaysOfBatchSystems = {"OMPI_MCA_ess", "OMPI_MCA_plm", "OMPI_MCA_ras",
                                                                        "PRTE_MCA_ess", "PRTE_MCA_plm", "PRTE_MCA_ras"};

// The names of our variables that such an mpirun must not get: those of an mpirun or srun that started this process,
// beside which it refuses to start, and, where the allocation is ignored, those of Slurm, PBS and Torque, LSF, Grid
// Engine, LoadLeveler, Cobalt, ALPS and Flux.
std::vector<std::string> variables_hidden_from_mpirun(Allocation allocation);

}  // namespace equipoise
