// Dependencies point one way: proto <- common <- {coordinator, worker, client}, client <- experiments, and so do those
// of the coordinator's folders; LibTorch, CUDA, NCCL and MPI are seen by worker/ alone, gRPC is not seen by common/.
// client/main.cc alone puts the experiments' verb into the command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace include_rule_test {

const std::filesystem::path kRoot = "..";  // tests run in tests/
constexpr std::array<std::string_view, 5> kFolders = {"common", "coordinator", "worker", "client", "experiments"};

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> starts) {
  for (const std::string_view start : starts) {
    if (text.starts_with(start)) return true;
  }
  return false;
}

// `folder` may include the header `name`.
bool may_include(std::string_view folder, std::string_view name) {
  for (const std::string_view other : kFolders) {
    const bool of_other = name.starts_with(std::string(other) + "/");
    const bool below = other == "common" || (folder == "experiments" && other == "client");
    if (of_other && other != folder && !below) return false;
  }
  const bool accelerator = starts_with_any(name, {"torch/", "ATen/", "c10", "cuda", "nccl", "mpi."});
  if (accelerator && folder != "worker") return false;
  const bool rpc = starts_with_any(name, {"grpc"}) || name.ends_with(".grpc.pb.h");
  return !(rpc && folder == "common");
}

// A folder of the coordinator includes itself and those before it; what stands in no folder includes all.
constexpr std::array<std::string_view, 9> kCoordinatorFolders = {
    "lifecycle", "launch", "membership", "sharding", "weights", "metrics", "store", "job", "service"};

bool points_down(std::string_view folder, std::string_view name) {
  constexpr std::string_view kCoordinator = "coordinator/";
  if (!name.starts_with(kCoordinator)) return true;
  name.remove_prefix(kCoordinator.size());
  const auto* const including = std::ranges::find(kCoordinatorFolders, folder);
  const auto* const included = std::ranges::find(kCoordinatorFolders, name.substr(0, name.find('/')));
  return included <= including && (included != kCoordinatorFolders.end() || name.find('/') == name.npos);
}

std::optional<std::string> included_name(const std::string& line) {
  const std::size_t hash = line.find_first_not_of(" \t");
  if (hash == std::string::npos || line[hash] != '#' || line.find("include", hash) == std::string::npos) return {};
  const std::size_t begin = line.find_first_of("<\"", hash);
  const std::size_t end = begin == std::string::npos ? begin : line.find_first_of(">\"", begin + 1);
  if (end == std::string::npos) return {};
  return line.substr(begin + 1, end - begin - 1);
}

bool is_source(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".h" || extension == ".cc" || extension == ".cu" || extension == ".cuh";
}

void add_broken(const std::filesystem::path& file, std::string_view folder, std::vector<std::string>& broken) {
  std::ifstream text(file);
  std::string line;
  while (std::getline(text, line)) {
    const std::optional<std::string> name = included_name(line);
    if (file == kRoot / "client/main.cc" && name == "experiments/reproduce_verb.h") continue;
    if (name && !may_include(folder, *name)) broken.push_back(file.string() + " includes " + *name);
  }
}

struct Findings {
  std::size_t files = 0;
  std::vector<std::string> broken;
};

Findings look_through(const std::filesystem::path& root) {
  Findings found;
  for (const std::string_view folder : kFolders) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      const bool build_output = entry.path().string().find("/target/") != std::string::npos;
      if (!entry.is_regular_file() || !is_source(entry.path()) || build_output) continue;
      ++found.files;
      add_broken(entry.path(), folder, found.broken);
    }
  }
  return found;
}

TEST(IncludeRule, EveryIncludePointsTheRightWay) {
  for (const std::string_view folder : kFolders) {
    ASSERT_TRUE(std::filesystem::is_directory(kRoot / folder)) << "run this from tests/";
  }
  const Findings found = look_through(kRoot);
  EXPECT_THAT(found.broken, testing::IsEmpty());
  EXPECT_GT(found.files, 100u) << "most sources were not looked at";
}

TEST(IncludeRule, AWrongIncludeIsFoundInEveryFolderAndKindOfSource) {
  const TempFolder root;
  std::vector<std::string> expected;
  for (const std::string_view folder : kFolders) {
    const std::string wrong = folder == "worker" ? "client/table/table.h" : "torch/torch.h";
    const std::string text =
        "#pragma once\n#include <vector>\n#include \"common/base/error.h\"\n#include <" + wrong + ">\n";
    for (const char* name : {"a.h", "deep/inside/b.cc", "c.cu", "d.cuh"}) {
      const auto file = root.write(std::filesystem::path(folder) / name, text);
      expected.push_back(file.string() + " includes " + wrong);
    }
    root.write(std::filesystem::path(folder) / "notes.md", text);
  }
  const Findings found = look_through(root.path());
  EXPECT_EQ(found.files, expected.size());
  EXPECT_THAT(found.broken, testing::UnorderedElementsAreArray(expected));
}

TEST(IncludeRule, TheCoordinatorsFoldersPointDown) {
  std::vector<std::string> broken;
  const std::filesystem::path coordinator = kRoot / "coordinator";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(coordinator)) {
    if (!entry.is_regular_file() || !is_source(entry.path())) continue;
    const std::string folder = entry.path().lexically_relative(coordinator).parent_path().string();
    std::ifstream text(entry.path());
    for (std::string line; std::getline(text, line);) {
      const std::optional<std::string> name = included_name(line);
      if (name && !points_down(folder, *name)) broken.push_back(entry.path().string() + " includes " + *name);
    }
  }
  EXPECT_THAT(broken, testing::IsEmpty());
  EXPECT_FALSE(points_down("membership", "coordinator/job/job_table.h"));
  EXPECT_FALSE(points_down("job", "coordinator/new_folder/thing.h"));
  EXPECT_TRUE(points_down("job", "coordinator/membership/membership.h"));
  EXPECT_TRUE(points_down("membership", "common/base/error.h"));
  EXPECT_TRUE(points_down("", "coordinator/service/coordinator_server.h"));
}

TEST(IncludeRule, ProgramsDoNotIncludeEachOther) {
  EXPECT_FALSE(may_include("client", "coordinator/job/job.h"));
  EXPECT_FALSE(may_include("worker", "client/table/table.h"));
  EXPECT_FALSE(may_include("common", "worker/model/decoder.h"));
  EXPECT_TRUE(may_include("worker", "common/base/error.h"));
  EXPECT_TRUE(may_include("worker", "worker/model/decoder.h"));
}

TEST(IncludeRule, ExperimentsStandOnTheClientWhichDoesNotKnowThem) {
  EXPECT_TRUE(may_include("experiments", "client/data/survey.h"));
  EXPECT_TRUE(may_include("experiments", "common/base/error.h"));
  EXPECT_FALSE(may_include("experiments", "worker/model/decoder.h"));
  EXPECT_FALSE(may_include("client", "experiments/report/claim.h"));
  EXPECT_FALSE(may_include("common", "experiments/report/claim.h"));
}

TEST(IncludeRule, TorchMpiAndNcclAreTheWorkersAlone) {
  for (const std::string_view name :
       {"torch/torch.h", "ATen/ATen.h", "c10/core/Device.h", "mpi.h", "nccl.h", "cuda.h"}) {
    EXPECT_FALSE(may_include("coordinator", name)) << name;
    EXPECT_TRUE(may_include("worker", name)) << name;
  }
}

TEST(IncludeRule, CommonSeesMessagesButNoServices) {
  EXPECT_FALSE(may_include("common", "grpcpp/grpcpp.h"));
  EXPECT_FALSE(may_include("common", "equipoise/v1/worker.grpc.pb.h"));
  EXPECT_TRUE(may_include("common", "equipoise/v1/worker.pb.h"));
  EXPECT_TRUE(may_include("client", "grpcpp/grpcpp.h"));
}

TEST(IncludeRule, SeesIncludesHoweverTheyAreWritten) {
  EXPECT_EQ(included_name("  #  include <mpi.h>  // why"), "mpi.h");
  EXPECT_EQ(included_name("#include \"a/b.h\""), "a/b.h");
  EXPECT_EQ(included_name("// #include <mpi.h>"), std::nullopt);
}

}  // namespace include_rule_test
}  // namespace equipoise
