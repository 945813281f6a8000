#include "coordinator/webhook/webhook_sender.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <exception>
#include <stdexcept>
#include <utility>

#include "common/base/message_text.h"
#include "common/base/secret_file.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kShortestSecret = 16, kLongestSecret = 4096;
constexpr std::int64_t kEventsAtOnce = 16;
constexpr int kMostTryDoublings = 20;

WebhookOutcome outcome_of_status(int status) {
  if (status >= 200 && status < 300) return WebhookOutcome::kDelivered;
  constexpr std::array kRefusals = {400, 410, 413, 415, 422};
  return std::ranges::find(kRefusals, status) != kRefusals.end() ? WebhookOutcome::kRefused : WebhookOutcome::kFailed;
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
      poster_({.address = settings_.address, .ca_file = settings_.ca_file, .longest_try = settings_.longest_try}) {
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
  poster_.stop();
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
      retry_after_ = {};
    }
    const int doublings = std::clamp(failures_ - 1, 0, kMostTryDoublings);
    const auto after_failure = std::min<std::chrono::milliseconds>(
        settings_.first_wait * (std::int64_t{1} << doublings), settings_.longest_wait);
    const auto asked = std::min<std::chrono::milliseconds>(retry_after_, settings_.longest_asked_wait);
    wait(failures_ == 0 ? settings_.between_looks : std::max(after_failure, asked));
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
      const Answer answer = send(event);
      if (is_stopping() && answer.outcome == WebhookOutcome::kFailed) return false;  // it was cut off
      note(event, answer);
      if (answer.outcome == WebhookOutcome::kFailed) return false;
      cursor_.advance(job_id, event.event.revision());
    }
  }
}

void WebhookSender::note(const WebhookEvent& event, const Answer& answer) {
  source_.count(answer.outcome);
  retry_after_ = answer.retry_after;
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

WebhookSender::Answer WebhookSender::send(const WebhookEvent& event) {
  const std::string body = webhook_body(event);
  const std::int64_t now = source_.unix_time();
  HttpHeaders headers = {{"Content-Type", "application/json"},
                         {"User-Agent", settings_.user_agent},
                         {kWebhookEventHeader, webhook_event_id(event)},
                         {kWebhookTimestampHeader, std::to_string(now)}};
  try {
    if (!settings_.secret_file.empty()) {
      const std::string secret = read_webhook_secret(settings_.secret_file);  // it may have been changed
      headers.emplace_back(kWebhookSignatureHeader, webhook_signature(secret, now, body));
    }
  } catch (const std::invalid_argument& unreadable) {
    return {.outcome = WebhookOutcome::kFailed, .what = unreadable.what()};
  }
  const HttpAnswer answer = poster_.post(headers, body);
  return {.outcome = outcome_of_status(answer.status), .what = answer.what, .retry_after = answer.retry_after};
}

}  // namespace equipoise::coordinator
