// Who has which token: a file with a line "ROLE NAME SHA256" for each, the digest of the token in 64 hexadecimal
// digits. Lines that are empty or begin with # say nothing. The tokens themselves are random and in no file of the
// service, so that who reads this one can call nothing.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/sha256.h"
#include "coordinator/access/principal.h"

namespace equipoise::coordinator {

struct TokenEntry {
  Principal principal;
  Digest digest;  // SHA-256 of the token
};

// Throws std::invalid_argument naming the line and what would be right: another form, a name of other characters than
// letters, digits and ._@-, one name in two roles, a token twice, no token at all.
std::vector<TokenEntry> parse_tokens(std::string_view text);

// May be used from any thread.
class TokenFile {
 public:
  // Throws std::invalid_argument naming the file: it is not this user's alone (mode 0600), or parse_tokens() refuses
  // it.
  explicit TokenFile(std::filesystem::path file);

  // Whose token it is; the time that takes does not depend on how much of it is right. The file is read again where it
  // has changed. One that cannot be read then, or is wrong, changes nothing, and the log says so once.
  std::optional<Principal> principal_of(std::string_view token);

 private:
  struct Version {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;
    std::int64_t modified_ns = 0, changed_ns = 0;
    bool operator==(const Version&) const = default;
  };
  static Version version_of(const std::filesystem::path& file);
  void read_if_changed();

  const std::filesystem::path file_;
  std::mutex mutex_;  // guards all below
  Version version_;   // that was looked at last
  std::vector<TokenEntry> entries_;
};

}  // namespace equipoise::coordinator
