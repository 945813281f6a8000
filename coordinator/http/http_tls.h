// TLS of the HTTP port, with the files of the gRPC service.
#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "coordinator/service/tls_files.h"

namespace equipoise::coordinator {

struct CloseTls {
  void operator()(SSL* tls) const { SSL_free(tls); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using TlsSession = std::unique_ptr<SSL, CloseTls>;

// Not thread-safe.
class HttpTls {
 public:
  // After check_tls_files(). Throws std::invalid_argument where OpenSSL does not take them.
  explicit HttpTls(const TlsFiles& files);

  // Reads the files again where they have changed. Where what is there cannot be used, the newest that could be stays.
  void look();
  // Of the server's side.
  TlsSession session(int socket) const;

 private:
  const TlsFiles files_;
  TlsFileMarks marks_;
  std::unique_ptr<SSL_CTX, CloseTls> context_;
};

}  // namespace equipoise::coordinator
