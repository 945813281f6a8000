#include "coordinator/access/token_file.h"

#include <openssl/crypto.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <exception>
#include <stdexcept>
#include <utility>

#include "common/base/message_text.h"
#include "common/base/secret_file.h"

namespace equipoise::coordinator {
namespace {

constexpr std::uintmax_t kLargestTokenFile = 4 << 20;
constexpr std::size_t kLongestPrincipal = 64;
constexpr std::int64_t kNsOfSecond = 1'000'000'000;
constexpr std::array<std::pair<Role, std::string_view>, 3> kRoleNames = {
    {{Role::kViewer, "viewer"}, {Role::kOperator, "operator"}, {Role::kAdmin, "admin"}}};
constexpr std::string_view kBlanks = " \t\r";

std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const std::string_view word = line.substr(0, std::min(line.find_first_of(kBlanks), line.size()));
  line.remove_prefix(word.size());
  return word;
}

bool is_principal_name(std::string_view name) {
  const auto is_part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '@' || c == '-';
  };
  return !name.empty() && name.size() <= kLongestPrincipal && std::ranges::all_of(name, is_part);
}

[[noreturn]] void refuse_line(std::size_t number, const std::string& why) {
  throw std::invalid_argument("line " + std::to_string(number) + ": " + why);
}

TokenEntry entry_of(std::string_view line, std::size_t number) {
  const std::string_view role_word = next_word(line), name = next_word(line), digits = next_word(line);
  const std::optional<Role> role = role_of_name(role_word);
  if (!role) refuse_line(number, "the role is " + quoted_text(role_word) + ", expected viewer, operator or admin");
  if (!is_principal_name(name)) {
    refuse_line(number, "the name is " + quoted_text(name) + ", expected up to 64 letters, digits and ._@-");
  }
  const std::optional<Digest> digest = digest_of_hex(digits);
  // Somebody may have put a token here in place of its digest, so it is not repeated.
  if (!digest || !next_word(line).empty()) {
    refuse_line(number,
                "expected ROLE NAME SHA256, the digest of the token in 64 hexadecimal digits, as `equipoise "
                "token create` prints it");
  }
  return {.principal = {.name = std::string(name), .role = *role}, .digest = *digest};
}

void check_beside(const TokenEntry& entry, const std::vector<TokenEntry>& others, std::size_t number) {
  for (const TokenEntry& other : others) {
    if (other.digest == entry.digest) refuse_line(number, "the token of " + other.principal.name + " is here again");
    if (other.principal.name == entry.principal.name && other.principal.role != entry.principal.role) {
      refuse_line(number, entry.principal.name + " is " + std::string(role_name(entry.principal.role)) + " and " +
                              std::string(role_name(other.principal.role)) + ", expected one role");
    }
  }
}

}  // namespace

std::string_view role_name(Role role) {
  return std::ranges::find(kRoleNames, role, [](const auto& known) { return known.first; })->second;
}

std::optional<Role> role_of_name(std::string_view name) {
  const auto* const known = std::ranges::find(kRoleNames, name, [](const auto& entry) { return entry.second; });
  return known == kRoleNames.end() ? std::nullopt : std::optional(known->first);
}

std::vector<TokenEntry> parse_tokens(std::string_view text) {
  std::vector<TokenEntry> entries;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t first = line.find_first_not_of(kBlanks);
    if (first == std::string_view::npos || line[first] == '#') continue;
    TokenEntry entry = entry_of(line, number);
    check_beside(entry, entries, number);
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) {
    throw std::invalid_argument("has no token, so that nobody could call; `equipoise token create` makes one");
  }
  return entries;
}

TokenFile::TokenFile(std::filesystem::path file) : file_(std::move(file)), version_(version_of(file_)) {
  const std::string text = read_secret_file(file_, kLargestTokenFile, "the list of tokens", FileReaders::kOwner);
  try {
    entries_ = parse_tokens(text);
  } catch (const std::invalid_argument& wrong) {
    throw std::invalid_argument(file_.string() + ": " + wrong.what());
  }
}

TokenFile::Version TokenFile::version_of(const std::filesystem::path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return {};
  return {.device = found.st_dev,
          .inode = found.st_ino,
          .size = found.st_size,
          .modified_ns = found.st_mtim.tv_sec * kNsOfSecond + found.st_mtim.tv_nsec,
          .changed_ns = found.st_ctim.tv_sec * kNsOfSecond + found.st_ctim.tv_nsec};
}

void TokenFile::read_if_changed() {
  const Version now = version_of(file_);
  if (now == version_) return;
  version_ = now;
  try {
    entries_ = parse_tokens(read_secret_file(file_, kLargestTokenFile, "the list of tokens", FileReaders::kOwner));
    spdlog::info("{}: read again, {} tokens", file_.string(), entries_.size());
  } catch (const std::exception& wrong) {
    spdlog::error("--tokens: {}; the tokens that were read before go on to be those", wrong.what());
  }
}

std::optional<Principal> TokenFile::principal_of(std::string_view token) {
  const Digest digest = sha256_of(std::as_bytes(std::span(token)));
  const std::lock_guard lock(mutex_);
  read_if_changed();
  const TokenEntry* found = nullptr;
  for (const TokenEntry& entry : entries_) {
    if (CRYPTO_memcmp(entry.digest.data(), digest.data(), digest.size()) == 0) found = &entry;
  }
  return found == nullptr ? std::nullopt : std::optional(found->principal);
}

}  // namespace equipoise::coordinator
