// What a program needs in order to call a coordinator that does not take everybody's calls: the certificate authority
// that vouches for it, a certificate of its own, a token. Read once, from files that flags or variables name.
#pragma once

#include <filesystem>
#include <string>

namespace equipoise {

// Of the environment, with the meaning of the flags of the same name. All of them name files.
inline constexpr const char* kTlsCaVariable = "EQUIPOISE_TLS_CA";
inline constexpr const char* kTlsCertVariable = "EQUIPOISE_TLS_CERT";
inline constexpr const char* kTlsKeyVariable = "EQUIPOISE_TLS_KEY";
inline constexpr const char* kTokenFileVariable = "EQUIPOISE_TOKEN_FILE";

// Not of users: the coordinator tells ranks that it launches which folders they may open files of jobs in, with colons
// between them.
inline constexpr const char* kRootsVariable = "EQUIPOISE_ROOTS";

// gRPC metadata of a call of a user; the value is kBearer and the token.
inline constexpr const char* kAuthorizationMetadata = "authorization";
inline constexpr const char* kBearer = "Bearer ";

struct ServiceFiles {
  std::string tls_ca, tls_cert, tls_key;  // PEM; empty: none
  std::string token_file;                 // empty: none
};

// As the variables above say.
ServiceFiles service_files_of_environment();

struct ServiceAccess {
  std::string ca;                // PEM; empty: calls go without TLS
  std::string certificate, key;  // PEM; empty: this program shows none
  std::string token;             // empty: none

  bool has_tls() const { return !ca.empty(); }
};

// Throws std::invalid_argument naming the flag or file and what would be right: a certificate without its key or
// without tls_ca, a file that is not what it should be, a key or a token that others can read.
ServiceAccess read_service_access(const ServiceFiles& files);

// A token goes over TLS, or stays on this machine. Throws std::invalid_argument where it would cross a network in plain
// text.
//   host_port  HOST:PORT of the coordinator
void check_token_stays_secret(const ServiceAccess& access, const std::string& host_port);

// Checks of PEM files; each throws std::invalid_argument "FILE: ...".

// At least one certificate, each of which can be read.
void check_certificates(const std::filesystem::path& file, const std::string& pem);
// A private key, without a password, and that of the first certificate.
void check_key(const std::filesystem::path& file, const std::string& key, const std::string& certificate);

// A file of certificates, checked; of a key, which only this user, root or their group may read, checked.
std::string read_certificates(const std::filesystem::path& file);
std::string read_key(const std::filesystem::path& file, const std::string& certificate);

// A new one, of 256 random bits: nobody guesses it. Throws std::runtime_error where the system has no randomness to
// give.
std::string new_token();
// What the service's file of tokens has of it: "ROLE NAME SHA256\n".
struct TokenOwner {
  std::string role, name;
};
std::string token_line(const TokenOwner& owner, const std::string& token);

// A token as a file has it: at most one line. Throws as read_secret_file().
std::string read_token(const std::filesystem::path& file);

}  // namespace equipoise
