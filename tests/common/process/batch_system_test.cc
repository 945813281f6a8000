#include "common/process/batch_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace equipoise {
namespace batch_system_test {

using ::testing::IsSupersetOf;
using ::testing::UnorderedElementsAreArray;

// What a batch system or launcher would have set.
class BatchSystemTest : public ::testing::Test {
 protected:
  void SetUp() override { before_ = variables_hidden_from_mpirun(Allocation::kIgnored); }
  void TearDown() override {
    for (const std::string& name : set_) ::unsetenv(name.c_str());
  }
  void set(const std::string& name, const std::string& value = "1") {
    ::setenv(name.c_str(), value.c_str(), 1);
    set_.push_back(name);
  }
  std::vector<std::string> with_those_before(std::vector<std::string> names) const {
    names.insert(names.end(), before_.begin(), before_.end());
    return names;
  }

  std::vector<std::string> before_, set_;
};

TEST_F(BatchSystemTest, OutsideOfAllNothingIsHidden) {
  set("SLURMLIKE");
  set("OMPI_MCA_btl_tcp_if_include", "eth0");
  set("OMPI_MCA_orte_tmpdir_base", "/scratch");
  EXPECT_EQ(variables_hidden_from_mpirun(Allocation::kIgnored), before_);
}

TEST_F(BatchSystemTest, AnAllocationIsHiddenUnlessItIsUsed) {
  const std::vector<std::string> names = {
      "SLURM_JOBID", "SLURM_NODELIST", "SLURM_TASKS_PER_NODE", "PBS_NODEFILE",      "PBS_JOBID",   "PBS_ENVIRONMENT",
      "LSB_JOBID",   "LSB_HOSTS",      "LSB_MCPU_HOSTS",       "LSB_DJOB_HOSTFILE", "PE_HOSTFILE", "COBALT_NODEFILE",
      "FLUX_JOB_ID", "OMPI_MCA_plm",   "OMPI_MCA_ras"};
  for (const std::string& name : names) set(name);
  EXPECT_THAT(variables_hidden_from_mpirun(Allocation::kIgnored), IsSupersetOf(names));
  EXPECT_EQ(variables_hidden_from_mpirun(Allocation::kUsed).size(), 0u);
}

// mpirun "does not support recursive calls".
TEST_F(BatchSystemTest, AnOuterLauncherIsHiddenAlways) {
  const std::vector<std::string> names = {"OMPI_COMM_WORLD_RANK",
                                          "OMPI_COMM_WORLD_SIZE",
                                          "OMPI_UNIVERSE_SIZE",
                                          "OMPI_MCA_ess",
                                          "OMPI_MCA_orte_hnp_uri",
                                          "PMIX_RANK",
                                          "PMI_RANK"};
  for (const std::string& name : names) set(name);
  set("OMPI_MCA_btl_tcp_if_include", "eth0");
  for (const Allocation allocation : {Allocation::kIgnored, Allocation::kUsed}) {
    EXPECT_THAT(variables_hidden_from_mpirun(allocation), UnorderedElementsAreArray(with_those_before(names)));
  }
}

TEST_F(BatchSystemTest, AnAllocationHasAName) {
  EXPECT_EQ(allocation_text(), std::nullopt);
  set("PBS_JOBID", "12.head");
  EXPECT_EQ(allocation_text(), "job 12.head of PBS");
  set("SLURM_JOBID", "77");
  EXPECT_EQ(allocation_text(), "job 77 of Slurm");
}

}  // namespace batch_system_test
}  // namespace equipoise
