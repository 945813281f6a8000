// What is sent of one event, and how it is signed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

struct WebhookEvent {
  std::string job_id;
  std::string job_name;
  v1::JobEvent event;
};

inline constexpr const char* kWebhookTimestampHeader = "Equipoise-Timestamp";  // unix seconds of this try
inline constexpr const char* kWebhookSignatureHeader = "Equipoise-Signature";  // only where there is a secret
inline constexpr const char* kWebhookEventHeader = "Equipoise-Event";          // the same for every try

// {"job_id": ..., "name": ..., "event": {...}}, the event as the API's JobEvent is in JSON, on one line.
std::string webhook_body(const WebhookEvent& event);

// "JOB/REVISION": by which a receiver knows an event that it has already.
std::string webhook_event_id(const WebhookEvent& event);

// "v1=" and HMAC-SHA256(secret, timestamp "." body) in 64 hexadecimal digits.
std::string webhook_signature(std::string_view secret, std::int64_t timestamp, std::string_view body);

}  // namespace equipoise::coordinator
