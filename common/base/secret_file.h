// Files that keep secrets: tokens and private keys. Whoever else can read or replace one has what it protects.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace equipoise {

// Who beside its owner may have access to a file.
enum class FileReaders {
  kOwner,  // nobody: mode 0600 or less; of root's files, where this user is another one, their group: 0640
  kGroup,  // its group, to read: mode 0640 or less
};

// The content of a regular file of this user's or root's. Throws std::invalid_argument "FILE: ..." where there is none,
// it is another user's, others have access to it, it is larger than `most_bytes`, or it cannot be read. Its content is
// in no message.
//   what  for the message: "a token", "a private key"
std::string read_secret_file(const std::filesystem::path& file, std::uintmax_t most_bytes, const char* what,
                             FileReaders readers);

// Makes a file of mode 0600 with `content`; nobody else can read it at any moment. Throws std::invalid_argument naming
// it where one is there already or it cannot be made.
void write_secret_file(const std::filesystem::path& file, const std::string& content);

}  // namespace equipoise
