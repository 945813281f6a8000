// What mpirun and its ranks wrote, and which line of it says why they ended.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace equipoise {

// The last line with letters in it that is neither news (a line of level info in the form of common/base/log.h) nor
// part of mpirun's own notices (framed by lines of dashes); failing that, the last one within a notice. At most 512
// bytes, UTF-8.
std::string last_telling_line(std::string_view text);

// The same of a file's last 64 KiB; empty where the file is not there.
std::string last_telling_line_of(const std::filesystem::path& file);

// The first line "PROGRAM: reason" of a file, without the name: what the first rank to fail said, before others failed
// because of it. Empty where there is none.
std::string first_complaint_of(const std::filesystem::path& file, std::string_view program);

}  // namespace equipoise
