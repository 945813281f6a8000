// Which waiting job starts first, and which jobs with an attempt make room for it: pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace equipoise::coordinator {

// Where a job stands among those that wait.
struct QueuePlace {
  int priority = 0;
  std::int64_t sequence = 0;  // grows with every job ever made
};

// A higher priority first, then the older job.
bool starts_before(const QueuePlace& one, const QueuePlace& other);

// Places among the jobs that run at the same time, and slots of hosts: 0 everywhere where these are not counted.
struct Room {
  int places = 0;
  int slots = 0;
};

// A job that has an attempt.
struct RoomHolder {
  enum class Stay {
    kStays,     // or comes back before the job that waits
    kMayLeave,  // with a checkpoint, where it is asked to
    kLeaves,    // by itself, or was asked to already
  };
  QueuePlace place;
  Room room;
  Stay stay = Stay::kStays;
};

// The sequences of the jobs that are to leave so that `wanted` has the room that it needs: of a lower priority, the
// lowest first, of one priority the youngest, and none that is not needed. Empty where those that leave anyhow make
// enough room, and where not even all of them together would.
//   free  now; negative where older jobs have more than that coming to them
std::vector<std::int64_t> jobs_to_leave(const QueuePlace& wanted, const Room& needed, const Room& free,
                                        std::span<const RoomHolder> holders);

}  // namespace equipoise::coordinator
