// Who may write an output: one run at a time, seen to by a lock that the system releases with its owner's end.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

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

inline constexpr const char* kOutputLockName = ".equipoise-lock";

// How messages name an output: by the field or flag that it comes from, and as it was given.
struct OutputPlace {
  std::string field;
  std::filesystem::path path;
};

// Somebody else has the output. The message names the owner.
class OutputInUse : public std::invalid_argument {
 public:
  OutputInUse(const std::string& text, std::string job) : std::invalid_argument(text), job_(std::move(job)) {}
  const std::string& job() const { return job_; }  // of the owner; empty: no job

 private:
  std::string job_;
};

// A lock on two bytes of a file: .equipoise-lock in a folder; .NAME.equipoise-lock beside an output that appears by a
// rename. The first byte is the reservation, the second the writer's, and both are free before anybody gets one. They
// belong to the open file (F_OFD_SETLK): whoever holds it has the lock, and loses it at the latest with its end. Where
// the file system has no locks nothing is locked and nobody refused.
class OutputLock {
 public:
  // These throw OutputInUse where the output, a folder around it or its final/ has another owner, and
  // std::invalid_argument where the output cannot be written. They make the folder if it is not there.
  static OutputLock of_folder(const OutputPlace& place, const OutputOwner& owner);
  // The reservation only, for a job whose writer will be another process.
  static OutputLock reserve_folder(const OutputPlace& place, const OutputOwner& owner);
  // The same beside a writer of owner.job, which goes on where the owner of its reservation was lost.
  static OutputLock reserve_beside_writer(const OutputPlace& place, const OutputOwner& owner);
  // The writer's byte, where owner.job has the reservation; else both.
  static OutputLock of_writer(const OutputPlace& place, const OutputOwner& owner);
  // Of a file, or of a folder that is put in place whole. Makes the folder around it if that is not there, and removes
  // what killed processes have left of writing it. Throws std::invalid_argument where a device, a FIFO or a socket is
  // in its place.
  static OutputLock beside(const OutputPlace& place, const OutputOwner& owner);

  // Throws OutputInUse as they would now. Changes nothing.
  static void check_free(const OutputPlace& place);

  OutputLock(OutputLock&& other) noexcept;
  OutputLock& operator=(OutputLock&&) = delete;
  // Removes the file, and the folders that were made for it if nothing is in them. A file that another process reserved
  // stays.
  ~OutputLock();

  // Whether the file is where it was made: not once the folder was deleted or replaced.
  bool is_in_place() const;

 private:
  enum class Bytes { kReservation, kWriter, kBoth };
  OutputLock(std::filesystem::path file, int descriptor) : file_(std::move(file)), descriptor_(descriptor) {}
  static OutputLock open(const OutputPlace& place, const std::filesystem::path& file);
  static OutputLock take(const OutputPlace& place, const std::filesystem::path& file, const OutputOwner& owner,
                         Bytes bytes);
  static OutputLock take_folder(const OutputPlace& place, const OutputOwner& owner, Bytes bytes);
  bool lock(Bytes bytes);

  std::filesystem::path file_;
  std::vector<std::filesystem::path> made_;  // folders, outermost first
  int descriptor_;
  Bytes locked_ = Bytes::kWriter;  // what the destructor may not remove
};

}  // namespace equipoise
