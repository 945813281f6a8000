// Whether a file system answers at all: one over a network whose server is gone may not, for ever.
#pragma once

#include <chrono>
#include <filesystem>

namespace equipoise {

// As long as a coordinator waits for the files of a call.
inline constexpr std::chrono::seconds kFilePatience{5};

// Returns once the file system of `path` has answered, whatever is there. Throws PeerError naming the path where it
// does not within `patience`. It is asked by a process of its own, which is left alone then: where the kernel lets
// nobody out of such a question, not even by SIGKILL, this program ends nevertheless. Before there are other threads.
//   ask  calls nothing but system calls
void await_file_system(const std::filesystem::path& path, std::chrono::milliseconds patience = kFilePatience,
                       void (*ask)(const char* path) = nullptr);

}  // namespace equipoise
