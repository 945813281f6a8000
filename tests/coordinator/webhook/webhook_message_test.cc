#include "coordinator/webhook/webhook_message.h"

#include <gtest/gtest.h>

namespace equipoise::coordinator {
namespace webhook_message_test {

WebhookEvent event_named(const std::string& name) {
  WebhookEvent event{.job_id = "survey-0a1b", .job_name = name, .event = {}};
  event.event.set_revision(4);
  event.event.set_generation(1);
  event.event.set_state(v1::JOB_STATE_RUNNING);
  event.event.set_text("rank 0 has started training");
  event.event.mutable_time()->set_seconds(1'700'000'000);
  return event;
}

TEST(WebhookMessage, HasTheEventAsTheApiHasIt) {
  EXPECT_EQ(webhook_body(event_named("survey")),
            R"({"job_id":"survey-0a1b","name":"survey","event":{"revision":"4","generation":"1",)"
            R"("state":"JOB_STATE_RUNNING","text":"rank 0 has started training","time":"2023-11-14T22:13:20Z"}})");
}

TEST(WebhookMessage, ANameCannotEndItsText) {
  EXPECT_NE(webhook_body(event_named("a\"b\\\n")).find(R"("name":"a\"b\\\n",)"), std::string::npos);
}

TEST(WebhookMessage, AnEventHasTheSameIdEachTime) { EXPECT_EQ(webhook_event_id(event_named("x")), "survey-0a1b/4"); }

// printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac correct-horse-battery
TEST(WebhookMessage, IsSignedOverTimeAndBody) {
  EXPECT_EQ(webhook_signature("correct-horse-battery", 1'700'000'000, R"({"a":1})"),
            "v1=f6a0700e04bb6b78b44aa6d2fca45282525e9cd248c9db2bf19dae98b5e69abe");
}

}  // namespace webhook_message_test
}  // namespace equipoise::coordinator
