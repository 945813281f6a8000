// Who has an output, as it stands in the lock file of the output (output_lock.h).
#pragma once

#include <string>

namespace equipoise {

// What others are told, beside the process, the host and the time.
struct OutputOwner {
  std::string program;
  std::string job = {};             // its id; empty: no job
  bool admits_runs_inside = false;  // an experiment, whose runs have folders of their own in it
};

struct OutputRecord {
  OutputOwner owner;
  std::string pid, host, since;  // since: UTC
};

OutputRecord own_record(const OutputOwner& owner);  // of this process, from now on

// The same into a file. What cannot be written is missing in a message of others, no more.
void write_record(int descriptor, const OutputOwner& owner);

// Of whatever the file holds, as it is no secret: all of it printable, empty where it is not there.
OutputRecord read_record(int descriptor);

// "job even-1a2b3c4d of equipoise-coordinator (pid 7 on a since 2026-01-31T12:00:00Z)".
std::string owner_text(const OutputRecord& record);

}  // namespace equipoise
