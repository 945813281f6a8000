#include "coordinator/webhook/webhook_sender.h"

#include <httplib.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <exception>
#include <future>
#include <stdexcept>
#include <utility>

#include "common/base/message_text.h"
#include "common/base/secret_file.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kShortestSecret = 16, kLongestSecret = 4096;
constexpr std::size_t kLargestAnswer = 64 * 1024;  // nobody reads it
constexpr std::int64_t kEventsAtOnce = 16;
constexpr int kMostTryDoublings = 20;
constexpr std::chrono::seconds kLongestConnect{5};

WebhookOutcome outcome_of_status(int status) {
  if (status >= 200 && status < 300) return WebhookOutcome::kDelivered;
  constexpr std::array kRefusals = {400, 410, 413, 415, 422};
  return std::ranges::find(kRefusals, status) != kRefusals.end() ? WebhookOutcome::kRefused : WebhookOutcome::kFailed;
}

// Not httplib::Client, which takes no address of IPv6 with letters in it.
std::unique_ptr<httplib::ClientImpl> make_client(const WebhookSettings& settings) {
  const WebhookAddress& to = settings.address;
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

}  // namespace

std::string read_webhook_secret(const std::filesystem::path& file) {
  std::string secret = read_secret_file(file, kLongestSecret + 2, "the secret of the webhook", FileReaders::kOwner);
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  if (secret.size() >= kShortestSecret && secret.size() <= kLongestSecret) return secret;
  throw std::invalid_argument(file.string() + ": has a secret of " + std::to_string(secret.size()) +
                              " characters, expected 16 to 4096 (openssl rand -hex 32)");
}

WebhookSender::WebhookSender(WebhookSettings settings, const std::filesystem::path& cursor_file, WebhookSource source)
    : settings_(std::move(settings)),
      source_(std::move(source)),
      cursor_(cursor_file, source_.newest()),
      client_(make_client(settings_)) {
  if (!settings_.secret_file.empty()) read_webhook_secret(settings_.secret_file);
  for (const auto& [job_id, revision] : source_.newest()) {
    if (revision > cursor_.of(job_id)) pending_.insert(job_id);
  }
  thread_ = std::thread([this] { run(); });
}

WebhookSender::~WebhookSender() {
  end_soon();
  thread_.join();
}

void WebhookSender::end_soon() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
}

bool WebhookSender::is_stopping() {
  const std::lock_guard lock(mutex_);
  return is_stopping_;
}

void WebhookSender::wait(std::chrono::milliseconds duration) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, duration, [this] { return is_stopping_; });
}

void WebhookSender::run() {
  while (!is_stopping()) {
    try {
      look_for_events();
    } catch (const std::exception& failure) {  // of the database
      spdlog::warn("webhook: {}", failure.what());
      ++failures_;
    }
    const int doublings = std::clamp(failures_ - 1, 0, kMostTryDoublings);
    const auto after_failure = std::min<std::chrono::milliseconds>(
        settings_.first_wait * (std::int64_t{1} << doublings), settings_.longest_wait);
    wait(failures_ == 0 ? settings_.between_looks : after_failure);
  }
}

void WebhookSender::look_for_events() {
  pending_.merge(source_.take_changed());
  for (auto job = pending_.begin(); job != pending_.end();) {
    try {
      if (!send_events(*job)) return;
    } catch (const UnreadableEvents& failure) {  // those of others can be read
      spdlog::warn("webhook: events of job {} are left out until it has another one: {}", *job, failure.what());
    }
    job = pending_.erase(job);
  }
  source_.show_age(std::chrono::seconds(0));
  if (cursor_.has_grown()) cursor_.keep(source_.newest());
}

bool WebhookSender::send_events(const std::string& job_id) {
  while (true) {
    const WebhookSource::Events events = source_.events(job_id, cursor_.of(job_id), kEventsAtOnce);
    if (events.empty()) return true;
    for (const WebhookEvent& event : events) {
      if (is_stopping()) return false;
      source_.show_age(
          std::chrono::seconds(std::max<std::int64_t>(0, source_.unix_time() - event.event.time().seconds())));
      const Answer answer = send_in_time(event);
      if (is_stopping() && answer.outcome == WebhookOutcome::kFailed) return false;  // it was cut off
      note(event, answer);
      if (answer.outcome == WebhookOutcome::kFailed) return false;
      cursor_.advance(job_id, event.event.revision());
    }
  }
}

void WebhookSender::note(const WebhookEvent& event, const Answer& answer) {
  source_.count(answer.outcome);
  const std::string where = settings_.address.origin();
  if (answer.outcome == WebhookOutcome::kFailed) {
    // At first, and then as the waits become longer.
    if (++failures_ == 1 || (failures_ & (failures_ - 1)) == 0) {
      spdlog::warn("webhook: event {} could not be delivered to {} ({}); try {} follows", webhook_event_id(event),
                   where, answer.what, failures_ + 1);
    }
    return;
  }
  if (std::exchange(failures_, 0) > 0) spdlog::info("webhook: {} takes events again", where);
  if (answer.outcome == WebhookOutcome::kRefused) {
    spdlog::warn("webhook: {} has refused event {} ({}); it is not sent again", where, webhook_event_id(event),
                 answer.what);
  }
}

WebhookSender::Answer WebhookSender::send_in_time(const WebhookEvent& event) {
  bool is_done = false;  // guarded by mutex_
  std::future<Answer> sending = std::async(std::launch::async, [&] {
    Answer answer;
    try {
      answer = send(event);
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

WebhookSender::Answer WebhookSender::send(const WebhookEvent& event) {
  httplib::Request request;
  request.method = "POST";
  request.path = settings_.address.target;
  request.body = webhook_body(event);
  const std::int64_t now = source_.unix_time();
  const std::string origin = settings_.address.origin();
  request.headers = {{"Host", origin.substr(origin.find("//") + 2)},
                     {"Content-Type", "application/json"},
                     {"User-Agent", settings_.user_agent},
                     {kWebhookEventHeader, webhook_event_id(event)},
                     {kWebhookTimestampHeader, std::to_string(now)}};
  if (!settings_.secret_file.empty()) {
    const std::string secret = read_webhook_secret(settings_.secret_file);  // it may have been changed
    request.headers.emplace(kWebhookSignatureHeader, webhook_signature(secret, now, request.body));
  }
  std::size_t bytes = 0;
  request.content_receiver = [&bytes](const char*, std::size_t size, std::uint64_t, std::uint64_t) {
    bytes += size;
    return bytes <= kLargestAnswer;
  };
  int status = 0;
  // Once the status is known, whatever the rest of the answer is.
  request.response_handler = [&status](const httplib::Response& response) {
    status = response.status;
    return true;
  };
  const httplib::Result result = client_->send(request);
  if (status == 0 && result) status = result->status;
  if (status == 0)
    return {.outcome = WebhookOutcome::kFailed, .what = "no answer: " + httplib::to_string(result.error())};
  return {.outcome = outcome_of_status(status), .what = "HTTP status " + std::to_string(status)};
}

}  // namespace equipoise::coordinator
