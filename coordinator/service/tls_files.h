// The files of TLS: with which the service proves who it is, and with which callers do.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>

#include "common/base/descriptor.h"

namespace equipoise::coordinator {

struct TlsFiles {
  std::filesystem::path certificate, key;  // PEM; the certificate's chain below it
  std::optional<std::filesystem::path>
      client_ca;  // who signs the certificates that callers must show; none: nobody must
};

// Throws std::invalid_argument naming the file: it cannot be read, is not PEM, the key is another certificate's or can
// be read by everybody, the certificate has expired.
void check_tls_files(const TlsFiles& files);

// Which versions of the files are there: inode, size and time of each.
using TlsFileMarks = std::array<std::tuple<std::uint64_t, std::int64_t, std::int64_t, std::int64_t>, 3>;
TlsFileMarks marks_of(const TlsFiles& files);

// TLS of the gRPC port. The files are read again where they have changed, 3 s later or so, for connections that begin
// from then on. Where what is there cannot be used, the newest that could be stays, and the log says so.
class GrpcTls {
 public:
  // After check_tls_files().
  explicit GrpcTls(const TlsFiles& files);
  ~GrpcTls();
  GrpcTls(const GrpcTls&) = delete;
  GrpcTls& operator=(const GrpcTls&) = delete;

  // Of a server that ends before this object.
  std::shared_ptr<grpc::ServerCredentials> credentials() const;

 private:
  // gRPC reads files, whatever they have in them: so it gets these, in memory, which have what was checked.
  class CheckedFile {
   public:
    CheckedFile();
    void put(const std::string& content);
    std::string path() const;

   private:
    Descriptor memory_;
  };
  void copy();
  void run();
  void look();

  const TlsFiles files_;
  TlsFileMarks marks_;
  CheckedFile certificate_, key_, client_ca_;
  std::mutex mutex_;  // guards the two below
  std::condition_variable stops_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace equipoise::coordinator
