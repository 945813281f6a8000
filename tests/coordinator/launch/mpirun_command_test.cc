#include "coordinator/launch/mpirun_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace mpirun_command_test {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

RankEnvironment environment_of(const std::vector<std::string>& variables, const std::vector<std::string>& named = {}) {
  return rank_environment(variables, read_mca_parameters(variables, {}), named, Allocation::kIgnored);
}

TEST(RankEnvironment, PassesWhatConcernsRanksAndWhatTheJobNames) {
  EXPECT_THAT(environment_of({"NCCL_IB_HCA==mlx5_0", "EQUIPOISE_CACHE=/c", "CUDA_DEVICE_ORDER=x", "OMP_NUM_THREADS=2",
                              "HF_HOME=/h", "AWS_SECRET_ACCESS_KEY=s", "OMPI_MCA_btl=tcp", "BASH_FUNC_x%%=()"},
                             {"HF_HOME", "NOT_SET"})
                  .passed,
              ElementsAre("CUDA_DEVICE_ORDER", "EQUIPOISE_ATTEMPT_TOKEN", "EQUIPOISE_CACHE", "HF_HOME", "NCCL_IB_HCA",
                          "OMP_NUM_THREADS"));
}

TEST(RankEnvironment, TakesTheOperatorsListApart) {
  const auto result =
      environment_of({"OMPI_MCA_mca_base_env_list=A,B=2,,C", "OMPI_MCA_mca_base_env_list_delimiter=,", "A=1", "D=4"});
  EXPECT_THAT(result.passed, ElementsAre("A", "B", "EQUIPOISE_ATTEMPT_TOKEN"));
  EXPECT_THAT(result.added, ElementsAre("B=2"));
  EXPECT_THAT(result.removed, Contains("OMPI_MCA_mca_base_env_list"));
  EXPECT_THAT(result.removed, Contains("OMPI_MCA_mca_base_env_list_delimiter"));
}

TEST(RankEnvironment, HidesWhatWouldMakeEveryLaunchFail) {
  const auto result = environment_of({"OMPI_MCA_plm=slurm", "OMPI_MCA_btl=tcp,self"});
  EXPECT_THAT(result.removed, Contains("OMPI_MCA_plm"));
  EXPECT_THAT(result.removed, Contains("OMPI_MCA_orte_enable_recovery"));
  EXPECT_THAT(result.removed, Not(Contains("OMPI_MCA_btl")));
}

TEST(McaParameters, AreThoseOfTheEnvironmentAndOfFiles) {
  const TempFolder folder;
  std::ofstream(folder.path() / "one") << "# mine\nbtl_tcp_if_include = eth0 # fast\n";
  std::ofstream(folder.path() / "two") << "btl_tcp_if_include=eth9\noob_tcp_if_include=\"eth1\"\n";
  const std::vector<std::string> variables{"OMPI_MCA_btl=tcp,self", "PATH=/bin"};
  const std::vector<std::filesystem::path> files{folder.path() / "none", folder.path() / "one", folder.path() / "two"};
  const McaParameters parameters = read_mca_parameters(variables, files);
  EXPECT_EQ(parameters.of_environment.at("btl"), "tcp,self");
  EXPECT_EQ(parameters.of_files.at("btl_tcp_if_include"), "eth0");
  EXPECT_EQ(parameters.of_files.at("oob_tcp_if_include"), "eth1");
  EXPECT_FALSE(parameters.is_set("PATH"));
}

// Whether hosts answer, and nothing else.
TEST(QuestionToHosts, RunsNothingOfOurs) {
  const McaParameters mca;
  const std::vector<std::string> command =
      mpirun_command({.mpirun = "mpirun", .worker = "/bin/worker", .logs = "/logs", .coordinator_address = "head:1"},
                     {.attempt = {.job_id = "host node2", .generation = 1},
                      .token = "",
                      .hosts = {{.name = "node2", .slots = 1}},
                      .is_question = true},
                     {.hostfile = "/hosts", .passed = {"EQUIPOISE_ATTEMPT_TOKEN"}, .mca = mca, .interfaces = {}});
  EXPECT_EQ(command.back(), "true");
  EXPECT_THAT(command, Contains("--timeout"));
  EXPECT_THAT(command, Contains("/hosts"));
  EXPECT_THAT(command, Not(Contains("/bin/worker")));
  EXPECT_THAT(command, Not(Contains("EQUIPOISE_ATTEMPT_TOKEN")));
}

TEST(QuestionToHosts, NamesProcessesThatMayBeLeft) {
  const McaParameters mca;
  const std::vector<std::string> command =
      mpirun_command({.mpirun = "mpirun", .worker = "/bin/worker", .logs = "/logs", .coordinator_address = "head:1"},
                     {.attempt = {.job_id = "host node2", .generation = 1},
                      .token = "",
                      .hosts = {{.name = "node2", .slots = 1}},
                      .is_question = true,
                      .processes = {{.pid = 4711, .began_before = std::chrono::seconds(90)}}},
                     {.hostfile = "/hosts", .passed = {"EQUIPOISE_ATTEMPT_TOKEN"}, .mca = mca, .interfaces = {}});
  ASSERT_GE(command.size(), 3U);
  EXPECT_EQ(command[command.size() - 3], "/bin/worker");
  EXPECT_EQ(command[command.size() - 2], "processes");
  EXPECT_EQ(command.back(), "4711:90");
  EXPECT_THAT(command, Not(Contains("EQUIPOISE_ATTEMPT_TOKEN")));
}

}  // namespace mpirun_command_test
}  // namespace equipoise::coordinator
