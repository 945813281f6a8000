// The files of TLS: with which the service proves who it is, and with which callers do.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <filesystem>
#include <memory>
#include <optional>

namespace equipoise::coordinator {

struct TlsFiles {
  std::filesystem::path certificate, key;  // PEM; the certificate's chain below it
  std::optional<std::filesystem::path>
      client_ca;  // who signs the certificates that callers must show; none: nobody must
};

// Throws std::invalid_argument naming the file: it cannot be read, is not PEM, the key is another certificate's or can
// be read by everybody, the certificate has expired.
void check_tls_files(const TlsFiles& files);

// After check_tls_files(). The files are read again where they have changed, at most 5 s later, for connections that
// begin from then on. While a file is missing, or the key is another certificate's, no connection begins.
std::shared_ptr<grpc::ServerCredentials> tls_credentials(const TlsFiles& files);

}  // namespace equipoise::coordinator
