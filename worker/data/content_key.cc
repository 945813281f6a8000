#include "worker/data/content_key.h"

#include <fstream>
#include <span>
#include <string>
#include <vector>

namespace equipoise {

void ContentKey::add(std::string_view text) {
  const std::uint64_t size = text.size();
  sha256_.update(std::as_bytes(std::span(&size, 1)));
  sha256_.update(text);
}

void ContentKey::add(std::int64_t number) { add(std::to_string(number)); }

void ContentKey::add_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return add("no file");
  add("file");
  add(static_cast<std::int64_t>(std::filesystem::file_size(path, ignored)));
  std::ifstream file(path, std::ios::binary);
  std::vector<char> chunk(1 << 20);
  while (file.read(chunk.data(), static_cast<std::streamsize>(chunk.size())) || file.gcount() > 0) {
    sha256_.update(std::string_view(chunk.data(), static_cast<std::size_t>(file.gcount())));
  }
}

}  // namespace equipoise
