// What lies in place of a file that a download or a checkout should have brought.
#pragma once

#include <filesystem>
#include <string>

namespace equipoise {

// What is wrong with `file` and the next move, as the end of a sentence that begins with its name: "is a link to X,
// which is not there: ...", "is a Git-LFS pointer, ...", "is a web page, ...", "is empty: ...". Empty where nothing of
// that kind is, also where there is no such file. Reads its first bytes.
std::string download_fault(const std::filesystem::path& file);

// Throws std::invalid_argument "FILE: ..." where there is one: what every reader of such a file asks first.
void check_download(const std::filesystem::path& file);

// What is said of a file that is not there: the same of a link, else "there is no such file".
std::string absent_file_fault(const std::filesystem::path& file);

}  // namespace equipoise
