#include "coordinator/service/listen_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>
#include <vector>

#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace listen_address_test {

TEST(ListenAddress, IsHostAndPort) {
  EXPECT_EQ(parse_listen_address("--listen", "[::1]:80").port, 80);
  for (const char* bad :
       {"", "host", "host:", ":80", "host:65536", "host:8x", "::1:80", "host:-1", "http://host:80", "ho st:80"}) {
    EXPECT_THROW(parse_listen_address("--listen", bad), std::invalid_argument) << bad;
  }
}

TEST(ListenAddress, OnlyLoopbackIsTakenWithoutTls) {
  for (const char* text : {"127.0.0.1:1", "localhost:1", "[::1]:1"}) {
    EXPECT_NO_THROW(check_loopback("--listen", parse_listen_address("--listen", text), "--insecure"));
  }
  for (const char* text : {"0.0.0.0:1", "[::]:1", "192.168.0.1:1", "example.org:1"}) {
    EXPECT_THROW(check_loopback("--listen", parse_listen_address("--listen", text), "--insecure"),
                 std::invalid_argument);
  }
}

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string advertised(const std::string& text) {
  try {
    return checked_advertise(text);
  } catch (const std::invalid_argument& wrong) {
    return wrong.what();
  }
}

const ListenAddress kEverywhere{.host = "0.0.0.0", .port = 7443};

TEST(RankAddress, AnAdvertisedNameIsOneThatThisMachineKnows) {
  EXPECT_EQ(advertised("localhost"), "localhost");
  EXPECT_EQ(advertised("10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(advertised("fd00::1"), "[fd00::1]");
  EXPECT_EQ(advertised("[fd00::1]"), "[fd00::1]");
  EXPECT_THAT(advertised("nowhere.invalid"),
              HasSubstr("--advertise is \"nowhere.invalid\", which this machine does not know"));
  EXPECT_THAT(advertised("localhost:7443"), HasSubstr("without a port"));
}

TEST(RankAddress, IsTheAdvertisedOneOrTheOneListenedOn) {
  EXPECT_EQ(address_for_ranks({.advertise = "head", .hosts = {}}, kEverywhere), "head:7443");
  EXPECT_EQ(address_for_ranks({.advertise = std::nullopt, .hosts = {}}, {.host = "10.0.0.7", .port = 1}), "10.0.0.7:1");
}

TEST(RankAddress, OfEveryInterfaceIsTheOneTowardsTheHosts) {
  const std::vector<HostSlots> here{{.name = "localhost"}, {.name = "me@127.0.0.1"}};
  EXPECT_EQ(address_for_ranks({.advertise = std::nullopt, .hosts = here}, kEverywhere), "127.0.0.1:7443");
  EXPECT_EQ(address_for_ranks({.advertise = std::nullopt, .hosts = {}}, kEverywhere), "127.0.0.1:7443");
  const std::vector<HostSlots> unknown{{.name = "nowhere.invalid"}};
  EXPECT_NE(address_for_ranks({.advertise = std::nullopt, .hosts = unknown}, kEverywhere), "127.0.0.1:7443")
      << "its own name, which may be known there";
}

TEST(RankAddress, LoopbackServesRanksOfThisMachineAlone) {
  const std::vector<HostSlots> here{{.name = "localhost"}};
  EXPECT_NO_THROW(check_reachable({.advertise = std::nullopt, .hosts = here}, {.host = "127.0.0.1", .port = 1}));
  const std::vector<HostSlots> elsewhere{{.name = "192.0.2.9"}};
  EXPECT_NO_THROW(check_reachable({.advertise = "head", .hosts = elsewhere}, {.host = "127.0.0.1", .port = 1}));
  EXPECT_NO_THROW(check_reachable({.advertise = std::nullopt, .hosts = elsewhere}, kEverywhere));
}

// Such a job was started, and failed by what ssh said of the name.
TEST(RankAddress, OfLoopbackNoHostIsServedThatThisMachineDoesNotKnow) {
  const TempFolder folder;
  const std::filesystem::path file = folder.path() / "hosts";
  std::ofstream(file) << "# ours\nlocalhost slots=2\n[::1]\n127.0.0.1\nme@nowhere.invalid slots=2\n";
  const std::vector<HostSlots> hosts = read_hostfile(file);
  const RankAddressSettings settings{.advertise = std::nullopt, .hosts = hosts, .hostfile = file};
  std::string refusal;
  try {
    check_reachable(settings, {.host = "127.0.0.1", .port = 7443});
  } catch (const std::invalid_argument& problem) {
    refusal = problem.what();
  }
  EXPECT_THAT(refusal, StartsWith(file.string() + ":5: \"me@nowhere.invalid\" is no host that this machine knows ("));
  EXPECT_THAT(refusal, HasSubstr("--listen 127.0.0.1:7443 serves this machine alone; expected localhost, or "));
  EXPECT_NO_THROW(check_reachable(settings, kEverywhere)) << "ssh may know it by another name";
  EXPECT_NO_THROW(check_reachable({.advertise = "head", .hosts = hosts}, {.host = "127.0.0.1", .port = 1}));
}

}  // namespace listen_address_test
}  // namespace equipoise::coordinator
