// A disk that refuses what is written: it is full, broken or gone.
#pragma once

#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace equipoise {

// Nothing that whoever writes could do better. The message names the file and the cause.
class DiskFault : public std::runtime_error {
 public:
  DiskFault(const std::string& message, int error) : std::runtime_error(message), error_(error) {}
  int error() const { return error_; }

 private:
  int error_;
};

// Whether `error`, a value of errno, says that a disk is full or a quota used up: later there may be room.
bool is_full_disk(int error);
// The same of a DiskFault, and of what std::filesystem throws.
bool is_full_disk(const std::exception& failure);

// Throws a DiskFault where `error`, a value of errno, is a disk's, else std::runtime_error. ": " and the system's word
// follow `message`.
[[noreturn]] void throw_write_fault(const std::string& message, int error);

// Of a file that somebody has named, and that cannot be opened or made: where the disk is full as throw_write_fault(),
// else std::invalid_argument with the same words.
[[noreturn]] void throw_open_fault(const std::string& message, int error);

// Writes to an open file, and takes from the beginning of `rest` what is written. 0, or the errno that has ended it.
int write_rest(int descriptor, std::string_view& rest);

// Writes to an open file and takes from the beginning of `bytes` what is written, also where it throws, as
// throw_write_fault() does: the same call goes on there.
void write_all(int descriptor, std::string& bytes, const std::string& message);

// Somebody who waits for room: calls `work` again, later, as long as it throws what is_full_disk(). The work goes on
// where it was, or is done from its beginning again. What else it throws is passed on.
using DiskPatience = std::function<void(const std::function<void()>& work)>;

// `work`, with the patience that there is; an empty one is none.
template <typename Work>
void do_with(const DiskPatience& patience, const Work& work) {
  patience ? patience(work) : work();
}

}  // namespace equipoise
