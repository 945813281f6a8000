// What this machine has left of its memory.
#pragma once

#include <cstddef>
#include <filesystem>

namespace equipoise {

// Bytes that processes may still take: MemAvailable of proc/meminfo, or what is left below memory.max of the process's
// control group (version 2) and of those around it, whichever is less. `root` is "/", but for tests. 0: not known.
std::size_t free_host_memory(const std::filesystem::path& root);

}  // namespace equipoise
