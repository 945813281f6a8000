#include "common/config/launch_config.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <stdexcept>

#include "equipoise/v1/job.pb.h"

namespace equipoise {
namespace launch_config_test {

v1::LaunchSpec with_option(const std::string& name, const std::string& value) {
  v1::LaunchSpec spec;
  (*spec.mutable_mpi_options())[name] = value;
  return spec;
}

v1::LaunchSpec with_variable(const std::string& name) {
  v1::LaunchSpec spec;
  spec.add_environment(name);
  return spec;
}

// "accepted", or why not.
std::string answer(const v1::LaunchSpec& spec) {
  try {
    launch_config(spec);
    return "accepted";
  } catch (const std::invalid_argument& refused) {
    return refused.what();
  }
}

TEST(LaunchConfig, TakesNetworksPortsAndTransports) {
  EXPECT_EQ(answer(with_option("btl_tcp_if_include", "eth0,10.0.0.0/8")), "accepted");
  EXPECT_EQ(answer(with_option("oob_tcp_if_exclude", "docker0,br-0a1b,eth0.100,fd00::/8")), "accepted");
  EXPECT_EQ(answer(with_option("btl_openib_if_include", "mlx5_0:1,mlx5_1")), "accepted");
  EXPECT_EQ(answer(with_option("btl_tcp_port_min_v4", "50000")), "accepted");
  EXPECT_EQ(answer(with_option("btl_tcp_port_range_v4", "100")), "accepted");
  EXPECT_EQ(answer(with_option("oob_tcp_dynamic_ipv4_ports", "50100-50199")), "accepted");
  EXPECT_EQ(answer(with_option("btl", "^openib")), "accepted");
  EXPECT_EQ(answer(with_option("pml", "ob1")), "accepted");
}

// A job comes from anybody: none of these may reach mpirun, which runs what some of its parameters name.
TEST(LaunchConfig, RefusesWhatCouldRunACommandOrMeansNothing) {
  for (const char* name :
       {"plm_rsh_agent", "orte_launch_agent", "orte_fork_agent", "mca_base_param_files", "btl_tcp_if_include ", "",
        "--mca", "BTL", "orte_default_hostfile", "rmaps_rank_file_path", "mca_component_path"}) {
    EXPECT_EQ(answer(with_option(name, "eth0")).find("launch.mpi_options is a mapping with \""), 0U) << name;
  }
  for (const char* value : {"", "eth0,", "-np", "eth0,-x", "eth0 --mca plm_rsh_agent sh", "eth0;ls", "$(ls)", "`ls`",
                            "eth0\n", "eth0\"", "../../x y"}) {
    EXPECT_EQ(answer(with_option("btl_tcp_if_include", value)).find("launch.mpi_options.btl_tcp_if_include is \""), 0U)
        << value;
  }
  EXPECT_NE(answer(with_option("btl_tcp_if_include", std::string(2000, 'e'))), "accepted");
  EXPECT_EQ(answer(with_option("btl_tcp_port_min_v4", "70000")),
            "launch.mpi_options.btl_tcp_port_min_v4 is \"70000\", expected a port from 1 to 65535");
  EXPECT_EQ(answer(with_option("oob_tcp_dynamic_ipv4_ports", "1-x")),
            "launch.mpi_options.oob_tcp_dynamic_ipv4_ports is \"1-x\", expected ports such as 50000-50100");
  EXPECT_EQ(answer(with_option("btl", "tcp,^self")),
            "launch.mpi_options.btl is \"tcp,^self\", expected names such as tcp,self or ^openib");
}

TEST(LaunchConfig, RefusesAnIncludeBesideAnExclude) {
  v1::LaunchSpec spec = with_option("btl_tcp_if_include", "eth0");
  (*spec.mutable_mpi_options())["btl_tcp_if_exclude"] = "eth1";
  EXPECT_EQ(
      answer(spec),
      "launch.mpi_options has both btl_tcp_if_include and btl_tcp_if_exclude, of which Open MPI takes one; remove "
      "one of them");
}

TEST(LaunchConfig, TakesNamesOfVariablesAndNoValues) {
  EXPECT_EQ(answer(with_variable("HF_HOME")), "accepted");
  for (const char* name : {"", "A=b", "1A", "A B", "A;ls", "EQUIPOISE_ATTEMPT_TOKEN", "OMPI_MCA_plm_rsh_agent",
                           "PMIX_RANK", "PRTE_MCA_x"}) {
    EXPECT_EQ(answer(with_variable(name)).find("launch.environment is \""), 0U) << name;
  }
}

TEST(LaunchConfig, TheStartMayTakeASecondToADay) {
  v1::LaunchSpec spec;
  EXPECT_EQ(launch_config(spec).start_timeout, std::chrono::seconds(120));
  spec.set_start_timeout_seconds(0);
  EXPECT_EQ(answer(spec), "launch.start_timeout_seconds is 0, expected an integer from 1 to 86400");
}

TEST(LaunchConfig, FewerRanksAreAsManyAsTheJobAllows) {
  v1::LaunchSpec spec;
  EXPECT_EQ(launch_config(spec).fewest_ranks(), 1);
  spec.set_workers(4);
  EXPECT_EQ(launch_config(spec).fewest_ranks(), 4);
  spec.set_min_workers(2);
  EXPECT_EQ(launch_config(spec).fewest_ranks(), 2);
  EXPECT_EQ(launch_config(spec).most_ranks(), 4);
  spec.set_min_workers(5);
  EXPECT_EQ(answer(spec), "launch.min_workers is 5, expected an integer from 1 to 4");
  spec.set_min_workers(0);
  EXPECT_EQ(answer(spec), "launch.min_workers is 0, expected an integer from 1 to 4");
  spec.set_min_workers(2);
  spec.set_mode(v1::LAUNCH_MODE_EXTERNAL);
  EXPECT_EQ(
      answer(spec),
      "launch.min_workers needs launch.mode coordinator; without launch.workers any number of your ranks will do");
}

TEST(LaunchConfig, PrioritiesAndTimeLimitsHaveRanges) {
  v1::LaunchSpec spec;
  EXPECT_EQ(launch_config(spec).priority, 0);
  EXPECT_EQ(launch_config(spec).time_limit, std::nullopt);
  spec.set_priority(-1000);
  spec.set_time_limit_seconds(1'000'000'000);
  EXPECT_EQ(launch_config(spec).priority, -1000);
  EXPECT_EQ(launch_config(spec).time_limit, std::chrono::seconds(1'000'000'000));
  spec.set_mode(v1::LAUNCH_MODE_EXTERNAL);
  EXPECT_EQ(answer(spec), "accepted");
  spec.set_priority(1001);
  EXPECT_EQ(answer(spec), "launch.priority is 1001, expected an integer from -1000 to 1000");
  spec.clear_priority();
  spec.set_time_limit_seconds(0);
  EXPECT_EQ(answer(spec), "launch.time_limit_seconds is 0, expected an integer from 1 to 1000000000");
}

TEST(LaunchConfig, RanksStartedByHandHaveTheirOwnMpirun) {
  v1::LaunchSpec spec = with_option("btl", "tcp,self");
  spec.set_mode(v1::LAUNCH_MODE_EXTERNAL);
  EXPECT_EQ(answer(spec), "launch.mpi_options needs launch.mode coordinator; give them to your mpirun, with --mca");
  spec = with_variable("HF_HOME");
  spec.set_mode(v1::LAUNCH_MODE_EXTERNAL);
  EXPECT_EQ(answer(spec), "launch.environment needs launch.mode coordinator; give them to your mpirun, with -x");
}

}  // namespace launch_config_test
}  // namespace equipoise
