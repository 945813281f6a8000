#include "common/base/service_access.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <stdexcept>

#include "common/base/bounded_file.h"
#include "common/base/host_port.h"
#include "common/base/secret_file.h"
#include "common/base/sha256.h"

namespace equipoise {
namespace {

constexpr std::uintmax_t kLargestPem = 1 << 20;
constexpr std::uintmax_t kLongestToken = 4096;
constexpr std::size_t kShortestToken = 16;

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using CertificatePointer = std::unique_ptr<X509, FreeCertificate>;

std::unique_ptr<BIO, FreeBio> reader_of(const std::string& pem) {
  return std::unique_ptr<BIO, FreeBio>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

CertificatePointer next_certificate(BIO& bio) {
  return CertificatePointer(PEM_read_bio_X509(&bio, nullptr, nullptr, nullptr));
}

// A key with a password would ask for it on the terminal.
int no_password(char* /*buffer*/, int /*size*/, int /*rwflag*/, void* /*userdata*/) { return -1; }

[[noreturn]] void refuse_pem(const std::filesystem::path& file, const std::string& why) {
  ERR_clear_error();
  throw std::invalid_argument(file.string() + ": " + why);
}

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_on_this_machine(const std::string& host_port) {
  const auto address = parse_host_port(host_port);
  return address && is_loopback_host(address->host);
}

}  // namespace

ServiceFiles service_files_of_environment() {
  return {.tls_ca = variable(kTlsCaVariable),
          .tls_cert = variable(kTlsCertVariable),
          .tls_key = variable(kTlsKeyVariable),
          .token_file = variable(kTokenFileVariable)};
}

void check_certificates(const std::filesystem::path& file, const std::string& pem) {
  const auto bio = reader_of(pem);
  int count = 0;
  while (next_certificate(*bio)) ++count;
  // The end of the text is an error of this kind; anything else is a certificate that cannot be read.
  const bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (count == 0 || !is_end) {
    refuse_pem(file, count == 0 ? "has no certificate that can be read, expected certificates in PEM"
                                : "has a certificate that cannot be read after " + std::to_string(count) +
                                      ", expected certificates in PEM");
  }
  ERR_clear_error();
}

void check_key(const std::filesystem::path& file, const std::string& key, const std::string& certificate) {
  const auto key_bio = reader_of(key);
  const std::unique_ptr<EVP_PKEY, FreeKey> private_key(
      PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_password, nullptr));
  if (!private_key) refuse_pem(file, "is no private key that can be read, expected one in PEM without a password");
  const auto certificate_bio = reader_of(certificate);
  const CertificatePointer first = next_certificate(*certificate_bio);
  if (!first || X509_check_private_key(first.get(), private_key.get()) != 1) {
    refuse_pem(file, "is not the private key of the certificate, expected the one that it was made with");
  }
  ERR_clear_error();
}

std::string read_certificates(const std::filesystem::path& file) {
  std::string pem = read_bounded_file(file, kLargestPem, "certificates");
  check_certificates(file, pem);
  return pem;
}

std::string read_key(const std::filesystem::path& file, const std::string& certificate) {
  std::string pem = read_secret_file(file, kLargestPem, "a private key", FileReaders::kGroup);
  check_key(file, pem, certificate);
  return pem;
}

std::string new_token() {
  constexpr std::size_t kTokenBytes = 32;
  std::array<unsigned char, kTokenBytes> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    throw std::runtime_error("the system gave no random bytes");
  }
  return "equipoise_" + hex_text(std::as_bytes(std::span(bytes)));
}

std::string token_line(const TokenOwner& owner, const std::string& token) {
  return owner.role + " " + owner.name + " " + hex_text(sha256_of(std::as_bytes(std::span(token)))) + "\n";
}

std::string read_token(const std::filesystem::path& file) {
  std::string token = read_secret_file(file, kLongestToken, "a token", FileReaders::kOwner);
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  const bool is_plain = std::ranges::all_of(token, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (is_plain && token.size() >= kShortestToken) return token;
  throw std::invalid_argument(file.string() +
                              ": expected one line with a token, as `equipoise token create` prints it");
}

ServiceAccess read_service_access(const ServiceFiles& files) {
  if (files.tls_cert.empty() != files.tls_key.empty()) {
    throw std::invalid_argument("--tls-cert and --tls-key go together: a certificate and its private key");
  }
  if (files.tls_ca.empty() && !files.tls_cert.empty()) {
    throw std::invalid_argument(
        "--tls-cert needs --tls-ca: the certificate authority of the coordinator's certificate");
  }
  ServiceAccess access;
  if (!files.tls_ca.empty()) access.ca = read_certificates(files.tls_ca);
  if (!files.tls_cert.empty()) {
    access.certificate = read_certificates(files.tls_cert);
    access.key = read_key(files.tls_key, access.certificate);
  }
  if (!files.token_file.empty()) access.token = read_token(files.token_file);
  return access;
}

void check_token_stays_secret(const ServiceAccess& access, const std::string& host_port) {
  if (access.token.empty() || access.has_tls() || is_on_this_machine(host_port)) return;
  throw std::invalid_argument("the token would cross the network to " + host_port +
                              " in plain text; expected --tls-ca with the certificate authority of the coordinator");
}

}  // namespace equipoise
