#include "coordinator/store/state_room.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/coordinator/support/full_disk.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace state_room_test {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::uint64_t bytes_on_disk(const std::filesystem::path& file) {
  struct stat found {};
  return ::stat(file.c_str(), &found) == 0 ? static_cast<std::uint64_t>(found.st_blocks) * 512 : 0;
}

TEST(StateRoom, TheReserveTakesItsBytesAndGivesThemBack) {
  const TempFolder folder;
  StateRoom room(folder.path());
  EXPECT_TRUE(room.make_reserve());
  EXPECT_GE(bytes_on_disk(folder / "reserve"), StateRoom::kReserveBytes);
  EXPECT_TRUE(room.make_reserve()) << "it is there";
  room.release_reserve();
  EXPECT_EQ(bytes_on_disk(folder / "reserve"), 0u);
  EXPECT_TRUE(room.make_reserve());
}

// As of a folder that was copied.
TEST(StateRoom, AFileOfHolesIsNoReserve) {
  const TempFolder folder;
  std::ofstream(folder / "reserve").put('x');
  std::filesystem::resize_file(folder / "reserve", StateRoom::kReserveBytes);
  StateRoom room(folder.path());
  EXPECT_TRUE(room.make_reserve());
  EXPECT_GE(bytes_on_disk(folder / "reserve"), StateRoom::kReserveBytes);
}

TEST(StateRoom, WithoutRoomNoPartOfTheReserveIsKept) {
  const TempFolder folder;
  StateRoom room(folder.path());
  {
    const RefusingDisk full;
    EXPECT_FALSE(room.make_reserve());
  }
  EXPECT_EQ(bytes_on_disk(folder / "reserve"), 0u);
  EXPECT_FALSE(StateRoom(folder / "none").make_reserve());
}

TEST(StateRoom, TheReserveIsMadeWithRoomBesideIt) {
  const TempFolder folder;
  const SmallDisk disk(folder / "disk", StateRoom::kReserveBytes + StateRoom::kRoomToGoOn / 2);
  if (!disk.is_there()) GTEST_SKIP() << "no file system can be mounted here; it takes root";
  StateRoom room(folder / "disk");
  EXPECT_FALSE(room.make_reserve()) << "the next steps would fill it again";
  EXPECT_EQ(bytes_on_disk(folder / "disk/reserve"), 0u);
}

TEST(DiskSpace, IsAlarmingBelow64MiBAndBelowTwoPercent) {
  EXPECT_EQ(alarm_bytes({.free_bytes = 0, .total_bytes = 100 * kMiB}), 64 * kMiB);
  EXPECT_EQ(alarm_bytes({.free_bytes = 0, .total_bytes = 100'000 * kMiB}), 2'000 * kMiB);
}

TEST(DiskSpace, IsToldInUnitsThatPeopleRead) {
  EXPECT_EQ(space_text({.free_bytes = 0, .total_bytes = 8 * kMiB}), "0 B free of 8.0 MiB");
  EXPECT_EQ(space_text({.free_bytes = 12'700, .total_bytes = 3 * 1024 * kMiB / 2}), "12.4 KiB free of 1.5 GiB");
}

TEST(DiskSpace, IsUnknownOfWhatIsNotThere) { EXPECT_FALSE(disk_space("/no/such/folder")); }

}  // namespace state_room_test
}  // namespace equipoise::coordinator
