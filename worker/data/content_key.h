// A SHA-256 over texts, numbers and files, each with its length, so that no two lists of them run into each other.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "common/base/sha256.h"

namespace equipoise {

class ContentKey {
 public:
  void add(std::string_view text);
  void add(std::int64_t number);
  // The content alone. Nothing where there is no such file; whoever needs it will say so.
  void add_file(const std::filesystem::path& path);
  Digest finish() { return sha256_.finish(); }

 private:
  Sha256 sha256_;
};

}  // namespace equipoise
