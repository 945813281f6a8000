// What mpirun and its ranks wrote, and which line of it says why they ended.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace equipoise {

// What says best why the programs ended: the last line that neither Open MPI wrote nor a logger at level info or
// warning (the form of worker/log.h); else the first of mpirun's notices that names a cause (mpirun_notice.h), a
// warning, or what else Open MPI wrote. One line, at most 512 bytes, UTF-8; empty where nothing was said.
std::string last_informative_line(std::string_view text);

// A file's last 64 KiB; empty where the file is not there.
std::string tail_of(const std::filesystem::path& file);

// last_informative_line of that; empty where the file is not there.
std::string last_informative_line_of(const std::filesystem::path& file);

// The first line "PROGRAM: reason" of a file, without the name: what the first rank to fail said, before others failed
// because of it. Empty where there is none.
std::string first_error_of(const std::filesystem::path& file, std::string_view program);

}  // namespace equipoise
