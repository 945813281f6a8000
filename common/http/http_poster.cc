#include "common/http/http_poster.h"

#include <httplib.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <exception>
#include <future>

namespace equipoise {
namespace {

constexpr std::size_t kLargestAnswer = 64 * 1024;  // nobody reads it
constexpr std::chrono::seconds kLongestConnect{5};

// Not httplib::Client, which takes no address of IPv6 with letters in it.
std::unique_ptr<httplib::ClientImpl> make_client(const HttpPoster::Settings& settings) {
  const HttpAddress& to = settings.address;
  std::unique_ptr<httplib::ClientImpl> client;
  if (to.is_https) {
    client = std::make_unique<httplib::SSLClient>(to.host, to.port);
  } else {
    client = std::make_unique<httplib::ClientImpl>(to.host, to.port);
  }
  client->set_follow_location(false);
  client->set_keep_alive(true);
  client->set_url_encode(false);  // the address is sent as it was given
  // Which is as long as the end of this program may wait for it.
  client->set_connection_timeout(std::min<std::chrono::milliseconds>(settings.longest_try, kLongestConnect));
  client->set_read_timeout(settings.longest_try);
  client->set_write_timeout(settings.longest_try);
  client->enable_server_certificate_verification(true);
  if (!settings.ca_file.empty()) client->set_ca_cert_path(settings.ca_file.string());
  return client;
}

// In seconds: a date, which takes clocks that agree, says nothing.
std::chrono::seconds retry_after(const httplib::Response& response) {
  const std::string text = response.get_header_value("Retry-After");
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  return std::chrono::seconds(error == std::errc() && end == text.data() + text.size() ? seconds : 0);
}

}  // namespace

HttpPoster::HttpPoster(Settings settings) : settings_(std::move(settings)), client_(make_client(settings_)) {}

HttpPoster::~HttpPoster() = default;

void HttpPoster::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
}

HttpAnswer HttpPoster::post(const HttpHeaders& headers, const std::string& body) {
  bool is_done = false;  // guarded by mutex_
  std::future<HttpAnswer> sending = std::async(std::launch::async, [&] {
    HttpAnswer answer;
    try {
      answer = send(headers, body);
    } catch (const std::exception& failure) {
      answer.what = failure.what();
    }
    {
      const std::lock_guard lock(mutex_);
      is_done = true;
    }
    changed_.notify_all();
    return answer;
  });
  const auto deadline = std::chrono::steady_clock::now() + settings_.longest_try;
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [&] { return is_done || is_stopping_; });
  // Again and again, as a connection that is being made cannot be closed yet.
  while (!is_done) {
    lock.unlock();
    client_->stop();
    lock.lock();
    changed_.wait_for(lock, std::chrono::milliseconds(50), [&] { return is_done; });
  }
  lock.unlock();
  return sending.get();
}

HttpAnswer HttpPoster::send(const HttpHeaders& headers, const std::string& body) {
  httplib::Request request;
  request.method = "POST";
  request.path = settings_.address.target;
  request.body = body;
  const std::string origin = settings_.address.origin();
  request.headers = {{"Host", origin.substr(origin.find("//") + 2)}};
  for (const auto& [name, value] : headers) request.headers.emplace(name, value);
  std::size_t bytes = 0;
  request.content_receiver = [&bytes](const char*, std::size_t size, std::uint64_t, std::uint64_t) {
    bytes += size;
    return bytes <= kLargestAnswer;
  };
  HttpAnswer answer;
  // Once the status is known, whatever the rest of the answer is.
  request.response_handler = [&answer](const httplib::Response& response) {
    answer.status = response.status;
    answer.retry_after = retry_after(response);
    return true;
  };
  const httplib::Result result = client_->send(request);
  if (answer.status == 0 && result) answer.status = result->status;
  answer.what = answer.status == 0 ? "no answer: " + httplib::to_string(result.error())
                                   : "HTTP status " + std::to_string(answer.status);
  return answer;
}

}  // namespace equipoise
