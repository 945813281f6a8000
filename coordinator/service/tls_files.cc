#include "coordinator/service/tls_files.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <stdexcept>
#include <string>

#include "common/base/service_access.h"

namespace equipoise::coordinator {
namespace {

constexpr unsigned int kSecondsBetweenReads = 5;

// Of the first certificate, which read_certificates() has found to be one.
bool has_expired(const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                      BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr),
                                                                X509_free);
  return certificate && X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0;
}

}  // namespace

void check_tls_files(const TlsFiles& files) {
  const std::string certificate = read_certificates(files.certificate);
  read_key(files.key, certificate);
  if (has_expired(certificate)) {
    throw std::invalid_argument(files.certificate.string() +
                                ": the certificate has expired, and every client would refuse it; renew it");
  }
  if (files.client_ca) read_certificates(*files.client_ca);
}

std::shared_ptr<grpc::ServerCredentials> tls_credentials(const TlsFiles& files) {
  namespace tls = grpc::experimental;
  const std::string client_ca = files.client_ca ? files.client_ca->string() : "";
  tls::TlsServerCredentialsOptions options(std::make_shared<tls::FileWatcherCertificateProvider>(
      files.key.string(), files.certificate.string(), client_ca, kSecondsBetweenReads));
  options.watch_identity_key_cert_pairs();
  if (files.client_ca) options.watch_root_certs();
  options.set_cert_request_type(files.client_ca ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                                : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  return tls::TlsServerCredentials(options);
}

}  // namespace equipoise::coordinator
