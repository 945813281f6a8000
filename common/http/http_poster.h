// Posts to one URL: within a time, and so that it can be ended while it does.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/http/http_address.h"

namespace httplib {
class ClientImpl;
}

namespace equipoise {

struct HttpAnswer {
  int status = 0;    // 0: there was none
  std::string what;  // "HTTP status 403", "no answer: ..."
  // How long not to ask again, as a server says that is busy (Retry-After in seconds). 0: nothing is said.
  std::chrono::seconds retry_after{0};
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// Of one thread, but for stop(). Its connection is kept; redirections are not followed.
class HttpPoster {
 public:
  struct Settings {
    HttpAddress address;
    std::filesystem::path ca_file = {};  // whose certificates https takes; empty: those of this machine
    // Of one try, from the connection to the end of the answer.
    std::chrono::milliseconds longest_try{15'000};
  };

  explicit HttpPoster(Settings settings);
  ~HttpPoster();
  HttpPoster(const HttpPoster&) = delete;
  HttpPoster& operator=(const HttpPoster&) = delete;

  // Beside `headers`, which say what `body` is, those of HTTP itself are sent. Throws nothing of the network: that is
  // in the answer. Of the answer's own body nothing is kept, and more than 64 KiB of it are not read.
  HttpAnswer post(const HttpHeaders& headers, const std::string& body);
  // Ends a try that is under way; whatever is posted from now on has no answer.
  void stop();

 private:
  HttpAnswer send(const HttpHeaders& headers, const std::string& body);

  const Settings settings_;
  std::unique_ptr<httplib::ClientImpl> client_;
  std::mutex mutex_;  // guards is_stopping_ and the end of a try
  std::condition_variable changed_;
  bool is_stopping_ = false;
};

}  // namespace equipoise
