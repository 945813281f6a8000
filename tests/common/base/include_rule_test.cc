// Dependencies point one way: proto <- common <- {coordinator, worker, client}, client <- experiments, and those
// between folders are the arrows of docs/architecture.md; LibTorch, CUDA, NCCL and MPI are seen by worker/ alone, gRPC
// is not seen by common/. client/main.cc alone puts the experiments' verb into the command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
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

// Arrows from a folder, "common/base" or "proto", to others.
using Arrows = std::map<std::string, std::set<std::string>>;

// The folder that a header or source stands in; nothing for one that is in no folder of a program.
std::optional<std::string> folder_of(std::string_view path) {
  if (path.starts_with("equipoise/v1/")) return "proto";
  const std::size_t first = path.find('/'), second = path.find('/', first + 1);
  if (second == path.npos || std::ranges::find(kFolders, path.substr(0, first)) == kFolders.end()) return {};
  return std::string(path.substr(0, second));
}

Arrows includes_between_folders(const std::filesystem::path& root) {
  Arrows arrows;
  for (const std::string_view top : kFolders) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / top)) {
      const auto folder = folder_of(entry.path().lexically_relative(root).generic_string());
      if (!entry.is_regular_file() || !is_source(entry.path()) || !folder) continue;
      std::set<std::string>& included = arrows[*folder];
      std::ifstream text(entry.path());
      for (std::string line; std::getline(text, line);) {
        const auto name = included_name(line);
        const auto other = name ? folder_of(*name) : std::nullopt;
        if (other && *other != *folder) included.insert(*other);
      }
    }
  }
  return arrows;
}

// "client_command_line" of the diagram: "client/command_line".
std::string folder_of_box(std::string box) {
  const std::size_t first = box.find('_');
  if (first != box.npos) box[first] = '/';
  return box;
}

// The boxes of the diagram, each with the arrows that leave it.
Arrows diagram(std::istream& page) {
  Arrows arrows;
  std::string line;
  while (std::getline(page, line) && line != "```mermaid") continue;
  while (std::getline(page, line) && line != "```") {
    std::istringstream words(line);
    std::string first, word;
    words >> first >> word;
    if (first == "subgraph" || first == "end" || first == "flowchart") continue;
    std::set<std::string>& targets = arrows[folder_of_box(first.substr(0, first.find('[')))];
    while (words >> word) {
      if (word != "&") targets.insert(folder_of_box(word));
    }
  }
  return arrows;
}

// Where the arrows lead from `folder`, one after the other.
std::set<std::string> reachable(const Arrows& arrows, const std::string& folder) {
  std::set<std::string> found;
  std::vector<std::string> todo = {folder};
  while (!todo.empty()) {
    const auto from = arrows.find(todo.back());
    todo.pop_back();
    if (from == arrows.end()) continue;
    for (const std::string& next : from->second) {
      if (found.insert(next).second) todo.push_back(next);
    }
  }
  return found;
}

// What the diagram says otherwise than the sources.
std::vector<std::string> differences(const Arrows& drawn, const Arrows& included) {
  std::vector<std::string> found;
  for (const auto& [folder, others] : included) {
    if (!drawn.contains(folder)) found.push_back(folder + " has no box");
    const std::set<std::string> implied = reachable(drawn, folder);
    if (implied.contains(folder)) found.push_back(folder + " depends on itself");
    for (const std::string& other : others) {
      if (!implied.contains(other)) found.push_back(folder + " includes " + other + ", and no arrow leads there");
    }
  }
  for (const auto& [folder, others] : drawn) {
    if (folder != "proto" && !included.contains(folder)) found.push_back(folder + " is drawn and not there");
    for (const std::string& other : others) {
      const auto from = included.find(folder);
      if (from == included.end() || !from->second.contains(other)) {
        found.push_back(folder + " has an arrow to " + other + " and includes nothing of it");
      }
    }
  }
  return found;
}

TEST(ArchitectureDiagram, IsWhatTheFoldersInclude) {
  std::ifstream page(kRoot / "docs/architecture.md");
  const Arrows drawn = diagram(page);
  EXPECT_GT(drawn.size(), 30u) << "the diagram was not found";
  EXPECT_THAT(differences(drawn, includes_between_folders(kRoot)), testing::IsEmpty());
}

TEST(ArchitectureDiagram, DiffersByABoxAnArrowTooManyOrTooFewAndACircle) {
  const TempFolder root;
  root.write("worker/model/a.h", "#include \"worker/data/b.h\"\n#include \"equipoise/v1/job.pb.h\"\n");
  root.write("worker/data/b.h", "#include \"common/base/error.h\"\n");
  root.write("common/base/error.h", "");
  for (const char* program : {"coordinator", "client", "experiments"}) {
    root.write(std::string(program) + "/main.cc", "#include \"worker/data/b.h\"\n");
  }
  const Arrows included = includes_between_folders(root.path());
  const auto found = [&](const std::string& lines) {
    std::istringstream page("text\n```mermaid\nflowchart TB\n" + lines + "```\n");
    return differences(diagram(page), included);
  };
  const std::string boxes =
      "  subgraph worker\n    worker_model[\"model\"]\n    worker_data[\"data\"]\n  end\n  common_base[\"base\"]\n  "
      "proto\n";
  const std::string arrows = "  worker_model --> worker_data & proto\n  worker_data --> common_base\n";
  EXPECT_THAT(found(boxes + arrows), testing::IsEmpty());
  EXPECT_THAT(found(boxes + "  worker_model --> worker_data\n  worker_data --> common_base\n"),
              testing::ElementsAre("worker/model includes proto, and no arrow leads there"));
  EXPECT_THAT(found(boxes + arrows + "  worker_model --> common_base\n"),
              testing::ElementsAre("worker/model has an arrow to common/base and includes nothing of it"));
  EXPECT_THAT(found(boxes + "  worker_gone[\"gone\"]\n" + arrows),
              testing::ElementsAre("worker/gone is drawn and not there"));
  EXPECT_THAT(found(boxes + arrows + "  worker_data --> worker_model\n"),
              testing::Contains("worker/data depends on itself"));
}

// "3. `worker/data/pair_encoder.cc`: `PairEncoder::encode` makes token ids" of a walk through the code.
TEST(ArchitectureWalk, EveryStopIsAFunctionOfItsFile) {
  std::ifstream page(kRoot / "docs/architecture.md");
  const std::regex stop("[0-9]+\\. `([^`]+)`: `([^`]+)`.*");
  std::size_t stops = 0;
  std::smatch found;
  for (std::string line; std::getline(page, line);) {
    if (!std::regex_match(line, found, stop)) continue;
    ++stops;
    std::ifstream file(kRoot / found[1].str());
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const std::string function = found[2].str().substr(found[2].str().rfind(':') + 1);
    EXPECT_TRUE(text.find(" " + function + "(") != text.npos || text.find("::" + function + "(") != text.npos) << line;
  }
  EXPECT_EQ(stops, 24u);
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
