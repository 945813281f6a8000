#include "coordinator/http/http_tls.h"

#include <openssl/err.h>
#include <spdlog/spdlog.h>

#include <array>
#include <stdexcept>

namespace equipoise::coordinator {
namespace {

std::unique_ptr<SSL_CTX, CloseTls> context_of(const TlsFiles& files) {
  ERR_clear_error();
  std::unique_ptr<SSL_CTX, CloseTls> context(SSL_CTX_new(TLS_server_method()));
  bool good = context != nullptr && SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1 &&
              SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) == 1 &&
              SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) == 1 &&
              SSL_CTX_check_private_key(context.get()) == 1;
  if (good && files.client_ca) {
    good = SSL_CTX_load_verify_locations(context.get(), files.client_ca->c_str(), nullptr) == 1;
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_client_CA_list(context.get(), SSL_load_client_CA_file(files.client_ca->c_str()));
  }
  if (!good) {
    ERR_clear_error();
    throw std::invalid_argument(files.certificate.string() + " and " + files.key.string() +
                                ": the HTTP port cannot use them");
  }
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Whoever comes back shows its certificate anew; a session of an earlier context is none.
  constexpr std::array<unsigned char, 9> kName = {'e', 'q', 'u', 'i', 'p', 'o', 'i', 's', 'e'};
  SSL_CTX_set_session_id_context(context.get(), kName.data(), kName.size());
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

}  // namespace

HttpTls::HttpTls(const TlsFiles& files) : files_(files), marks_(marks_of(files)), context_(context_of(files)) {}

void HttpTls::look() {
  const TlsFileMarks found = marks_of(files_);
  if (found == marks_) return;
  marks_ = found;
  try {
    check_tls_files(files_);
    context_ = context_of(files_);
  } catch (const std::exception& wrong) {
    spdlog::warn("the HTTP port goes on with the certificate that it has: {}", wrong.what());
  }
}

TlsSession HttpTls::session(int socket) const {
  TlsSession session(SSL_new(context_.get()));
  if (session == nullptr || SSL_set_fd(session.get(), socket) != 1) return nullptr;
  SSL_set_accept_state(session.get());
  return session;
}

}  // namespace equipoise::coordinator
