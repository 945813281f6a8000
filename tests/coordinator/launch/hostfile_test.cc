#include "coordinator/launch/hostfile.h"

#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>

#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace hostfile_test {

class Hostfile : public ::testing::Test {
 protected:
  std::vector<HostSlots> read(const std::string& text) {
    std::ofstream(file_) << text;
    return read_hostfile(file_);
  }
  // Behind the file's name.
  std::string refusal(const std::string& text) {
    try {
      read(text);
      return "accepted";
    } catch (const std::invalid_argument& wrong) {
      return std::string(wrong.what()).substr(file_.string().size());
    }
  }
  TempFolder folder_;
  std::filesystem::path file_ = folder_.path() / "hosts";
};

TEST_F(Hostfile, IsReadAsOpenMpiDoes) {
  EXPECT_EQ(read("# head\n\nnode1 slots=8\nnode2 max_slots=2 slots = 4 # two\n10.0.0.3\nnode4 slots=1 user=me\n"),
            (std::vector<HostSlots>{{.name = "node1", .slots = 8},
                                    {.name = "node2", .slots = 2},
                                    {.name = "10.0.0.3", .slots = 1},
                                    {.name = "me@node4", .slots = 1}}));
}

TEST_F(Hostfile, AHostOnSeveralLinesHasTheirSum) {
  EXPECT_EQ(read("a\nb\na\n"), (std::vector<HostSlots>{{.name = "a", .slots = 2}, {.name = "b", .slots = 1}}));
}

TEST_F(Hostfile, NamesTheLineThatIsWrong) {
  EXPECT_EQ(refusal("a\nb slots=none\n"), ":2: slots is \"none\", expected 1 to 16384");
  EXPECT_EQ(refusal("a slots=0\n"), ":1: slots is \"0\", expected 1 to 16384");
  EXPECT_EQ(refusal("-x slots=1\n"), ":1: \"-x\" is no host name; expected node1 slots=8");
  EXPECT_EQ(refusal("a:8\nb 8\n"), ":2: unknown word \"8\", expected slots=N, max_slots=N or user=NAME");
  EXPECT_EQ(refusal("# none\n"), " names no host, expected a line such as node1 slots=8");
}

TEST_F(Hostfile, SaysWhereAHostIsNamed) {
  read("# head\na\n\nb user=me\na\n");
  EXPECT_EQ(place_in_hostfile(file_, "a"), file_.string() + ":2");
  EXPECT_EQ(place_in_hostfile(file_, "me@b"), file_.string() + ":4");
  EXPECT_EQ(place_in_hostfile(file_, "c"), file_.string());
  EXPECT_EQ(place_in_hostfile("/nowhere", "a"), "/nowhere");
}

}  // namespace hostfile_test
}  // namespace equipoise::coordinator
