#include "coordinator/webhook/webhook_message.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <span>

#include "common/base/error.h"
#include "common/base/sha256.h"

namespace equipoise::coordinator {
namespace {

std::string webhook_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;  // as `--json` of the command line
  std::string text;
  EQUIPOISE_CHECK(google::protobuf::util::MessageToJsonString(message, &text, options).ok());
  return text;
}

std::string quoted_json(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  return webhook_json(value);
}

}  // namespace

std::string webhook_body(const WebhookEvent& event) {
  return "{\"job_id\":" + quoted_json(event.job_id) + ",\"name\":" + quoted_json(event.job_name) +
         ",\"event\":" + webhook_json(event.event) + "}";
}

std::string webhook_event_id(const WebhookEvent& event) {
  return event.job_id + "/" + std::to_string(event.event.revision());
}

std::string webhook_signature(std::string_view secret, std::int64_t timestamp, std::string_view body) {
  const std::string text = std::to_string(timestamp) + "." + std::string(body);
  std::array<std::byte, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  const auto* const made = HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                                reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                                reinterpret_cast<unsigned char*>(digest.data()), &size);
  EQUIPOISE_CHECK(made != nullptr);
  return "v1=" + hex_text(std::span(digest).first(size));
}

}  // namespace equipoise::coordinator
