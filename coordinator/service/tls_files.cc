#include "coordinator/service/tls_files.h"

#include <fcntl.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <system_error>

#include "common/base/service_access.h"

namespace equipoise::coordinator {
namespace {

constexpr std::chrono::seconds kBetweenFileLooks{2};
constexpr unsigned int kSecondsBetweenReads = 1;  // by gRPC

// Of the first certificate, which read_certificates() has found to be one.
bool has_expired(const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                      BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr),
                                                                X509_free);
  return certificate && X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0;
}

struct TlsContents {
  std::string certificate, key, client_ca;
};

// Checked. Throws std::invalid_argument as check_tls_files().
TlsContents contents_of(const TlsFiles& files) {
  TlsContents contents{.certificate = read_certificates(files.certificate), .key = {}, .client_ca = {}};
  contents.key = read_key(files.key, contents.certificate);
  if (has_expired(contents.certificate)) {
    throw std::invalid_argument(files.certificate.string() +
                                ": the certificate has expired, and every client would refuse it; renew it");
  }
  if (files.client_ca) contents.client_ca = read_certificates(*files.client_ca);
  return contents;
}

}  // namespace

void check_tls_files(const TlsFiles& files) { contents_of(files); }

TlsFileMarks marks_of(const TlsFiles& files) {
  const auto mark = [](const std::filesystem::path& file) -> TlsFileMarks::value_type {
    struct stat found {};
    if (::stat(file.c_str(), &found) != 0) return {};
    return {found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
  };
  return {mark(files.certificate), mark(files.key), files.client_ca ? mark(*files.client_ca) : mark({})};
}

namespace {

Descriptor new_memory() {
  const int memory = ::memfd_create("equipoise-tls", MFD_CLOEXEC);
  if (memory < 0) throw std::system_error(errno, std::generic_category(), "no memory for the files of TLS");
  return Descriptor(memory);
}

}  // namespace

GrpcTls::CheckedFile::CheckedFile() : memory_(new_memory()) {}

// Under the same number, so that gRPC reads the one content or the other.
void GrpcTls::CheckedFile::put(const std::string& content) {
  const Descriptor fresh = new_memory();
  if (::write(fresh.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()) ||
      ::dup3(fresh.get(), memory_.get(), O_CLOEXEC) < 0) {
    throw std::system_error(errno, std::generic_category(), "the files of TLS cannot be copied");
  }
}

std::string GrpcTls::CheckedFile::path() const { return "/proc/self/fd/" + std::to_string(memory_.get()); }

GrpcTls::GrpcTls(const TlsFiles& files) : files_(files), marks_(marks_of(files)) {
  copy();
  thread_ = std::thread([this] { run(); });
}

GrpcTls::~GrpcTls() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  stops_.notify_all();
  thread_.join();
}

std::shared_ptr<grpc::ServerCredentials> GrpcTls::credentials() const {
  namespace tls = grpc::experimental;
  tls::TlsServerCredentialsOptions options(std::make_shared<tls::FileWatcherCertificateProvider>(
      key_.path(), certificate_.path(), files_.client_ca ? client_ca_.path() : "", kSecondsBetweenReads));
  options.watch_identity_key_cert_pairs();
  if (files_.client_ca) options.watch_root_certs();
  options.set_cert_request_type(files_.client_ca ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                                 : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  return tls::TlsServerCredentials(options);
}

void GrpcTls::copy() {
  const TlsContents contents = contents_of(files_);
  certificate_.put(contents.certificate);
  key_.put(contents.key);
  if (files_.client_ca) client_ca_.put(contents.client_ca);
}

void GrpcTls::run() {
  std::unique_lock lock(mutex_);
  while (!stops_.wait_for(lock, kBetweenFileLooks, [this] { return is_stopping_; })) {
    lock.unlock();
    look();
    lock.lock();
  }
}

void GrpcTls::look() {
  const TlsFileMarks found = marks_of(files_);
  if (found == marks_) return;
  marks_ = found;
  try {
    copy();
    spdlog::info("the files of TLS have changed, and are those of connections from now on");
  } catch (const std::exception& wrong) {
    spdlog::error("the gRPC port goes on with the files of TLS that it has: {}", wrong.what());
  }
}

}  // namespace equipoise::coordinator
