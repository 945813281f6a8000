#include "common/base/download_fault.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <stdexcept>
#include <string_view>

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFirstBytes = 64;

std::string beginning_of(const fs::path& file) {
  std::array<char, kFirstBytes> bytes{};
  std::ifstream stream(file, std::ios::binary);
  stream.read(bytes.data(), bytes.size());
  return {bytes.data(), static_cast<std::size_t>(stream.gcount())};
}

bool is_web_page(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return false;
  const std::string_view rest = std::string_view(text).substr(begin);
  return rest.starts_with("<!doctype html") || rest.starts_with("<html");
}

}  // namespace

std::string download_fault(const fs::path& file) {
  std::error_code error;
  const bool is_link = fs::is_symlink(fs::symlink_status(file, error));
  if (is_link && !fs::exists(file, error)) {
    return "is a link to " + fs::read_symlink(file, error).string() +
           ", which is not there: the download is not complete, or the folder was copied without what its links name; "
           "download it again, or copy it with cp -rL";
  }
  if (!fs::is_regular_file(file, error)) return "";
  const std::string begin = beginning_of(file);
  if (begin.starts_with("version https://git-lfs.github.com/spec/")) {
    return "is a Git-LFS pointer, not the file itself: run git lfs pull in its folder, or download the file";
  }
  if (is_web_page(begin)) return "is a web page, not the file itself: download the file, not the page that shows it";
  if (begin.empty() && fs::file_size(file, error) == 0) return "is empty: download it again";
  return "";
}

void check_download(const fs::path& file) {
  const std::string fault = download_fault(file);
  if (!fault.empty()) throw std::invalid_argument(file.string() + ": " + fault);
}

std::string absent_file_fault(const fs::path& file) {
  const std::string fault = download_fault(file);
  return fault.empty() ? "there is no such file" : fault;
}

}  // namespace equipoise
