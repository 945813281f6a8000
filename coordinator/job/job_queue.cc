#include "coordinator/job/job_queue.h"

#include <algorithm>

namespace equipoise::coordinator {
namespace {

bool has_room_for(const Room& needed, const Room& room) {
  return room.places >= needed.places && room.slots >= needed.slots;
}

Room room_with(const Room& one, const Room& other) {
  return {.places = one.places + other.places, .slots = one.slots + other.slots};
}

Room room_without(const Room& whole, const Room& part) {
  return {.places = whole.places - part.places, .slots = whole.slots - part.slots};
}

}  // namespace

bool starts_before(const QueuePlace& one, const QueuePlace& other) {
  if (one.priority != other.priority) return one.priority > other.priority;
  return one.sequence < other.sequence;
}

std::vector<std::int64_t> jobs_to_leave(const QueuePlace& wanted, const Room& needed, const Room& free,
                                        std::span<const RoomHolder> holders) {
  Room room = free;
  std::vector<RoomHolder> candidates;
  for (const RoomHolder& holder : holders) {
    if (holder.stay == RoomHolder::Stay::kLeaves) room = room_with(room, holder.room);
    const bool can_leave = holder.stay == RoomHolder::Stay::kMayLeave && holder.place.priority < wanted.priority;
    if (can_leave) candidates.push_back(holder);
  }
  std::ranges::sort(
      candidates, [](const RoomHolder& one, const RoomHolder& other) { return starts_before(other.place, one.place); });
  std::vector<RoomHolder> taken;
  for (const RoomHolder& candidate : candidates) {
    if (has_room_for(needed, room)) break;
    taken.push_back(candidate);
    room = room_with(room, candidate.room);
  }
  std::vector<std::int64_t> leaving;
  if (!has_room_for(needed, room)) return leaving;
  // A later one may have made enough room by itself: the highest priority stays first.
  for (auto holder = taken.rbegin(); holder != taken.rend(); ++holder) {
    const Room rest = room_without(room, holder->room);
    if (has_room_for(needed, rest)) {
      room = rest;
    } else {
      leaving.push_back(holder->place.sequence);
    }
  }
  return leaving;
}

}  // namespace equipoise::coordinator
