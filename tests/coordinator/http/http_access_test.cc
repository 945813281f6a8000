#include "coordinator/http/http_access.h"

#include <gtest/gtest.h>

namespace equipoise::coordinator {
namespace {

HttpRequest request_to(const std::string& host, const std::string& method = "GET") {
  return {.method = method, .path = "/", .query = {}, .fields = {{"host", host}}, .body = ""};
}

int status_of_request(const HttpAccess& access, HttpPart part, const HttpRequest& request, bool is_tls = false) {
  const auto refused = refused_at_the_door(access, part, request, {.text = "", .is_tls = is_tls});
  return refused ? refused->status : 200;
}

TEST(HttpAccess, OnLoopbackWithoutTokensOnlyNamesOfThisMachineAreAnswered) {
  const HttpAccess access{.names = {"head.example"}};
  for (const char* host : {"localhost:9464", "127.0.0.1:9464", "[::1]:9464", "a.localhost", "HEAD.example:1"}) {
    EXPECT_EQ(status_of_request(access, HttpPart::kApi, request_to(host)), 200) << host;
  }
  for (const char* host : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::1].a"}) {
    for (const HttpPart part : {HttpPart::kPage, HttpPart::kApi, HttpPart::kMetrics}) {
      EXPECT_EQ(status_of_request(access, part, request_to(host)), 421) << host;
    }
  }
}

TEST(HttpAccess, PlainTextBesideTlsIsForMetricsOfThisMachineAlone) {
  HttpAccess access{.has_tls = true, .has_tokens = true};
  EXPECT_EQ(status_of_request(access, HttpPart::kMetrics, request_to("localhost")), 200);
  EXPECT_EQ(status_of_request(access, HttpPart::kPage, request_to("localhost")), 403);
  EXPECT_EQ(status_of_request(access, HttpPart::kApi, request_to("localhost")), 403);
  EXPECT_EQ(status_of_request(access, HttpPart::kApi, request_to("localhost"), true), 200);
  EXPECT_FALSE(metrics_need_token(access));
  access.is_loopback = false;
  EXPECT_EQ(status_of_request(access, HttpPart::kMetrics, request_to("head")), 403);
  EXPECT_EQ(status_of_request(access, HttpPart::kMetrics, request_to("head"), true), 200);
  EXPECT_TRUE(metrics_need_token(access));
}

// A page of another site may make its name mean this machine.
TEST(HttpAccess, MetricsThatNeedNoTokenAreForNamesOfThisMachine) {
  const HttpAccess access{.has_tokens = true};
  EXPECT_FALSE(metrics_need_token(access));
  EXPECT_EQ(status_of_request(access, HttpPart::kMetrics, request_to("evil.example")), 421);
  EXPECT_EQ(status_of_request(access, HttpPart::kMetrics, request_to("localhost:9464")), 200);
}

TEST(HttpAccess, OpenMetricsOpenNothingElse) {
  const HttpAccess access{.is_loopback = false, .has_open_metrics = true};
  EXPECT_EQ(status_of_request(access, HttpPart::kMetrics, request_to("head.example")), 200);
  EXPECT_EQ(status_of_request(access, HttpPart::kPage, request_to("10.0.0.7")), 403);
  EXPECT_EQ(status_of_request(access, HttpPart::kApi, request_to("10.0.0.7")), 403);
}

TEST(HttpAccess, ChangesComeFromProgramsAndThePageAlone) {
  HttpRequest request = request_to("localhost:1", "POST");
  EXPECT_EQ(status_of_request({}, HttpPart::kApi, request), 415);
  request.fields.emplace_back("content-type", "application/json; charset=utf-8");
  EXPECT_EQ(status_of_request({}, HttpPart::kApi, request), 403);
  request.fields.emplace_back("x-equipoise", "1");
  EXPECT_EQ(status_of_request({}, HttpPart::kApi, request), 200);
  request.fields.emplace_back("origin", "http://localhost:1");
  EXPECT_EQ(status_of_request({}, HttpPart::kApi, request), 200);
  EXPECT_EQ(status_of_request({}, HttpPart::kApi, request, true), 403) << "another scheme is another origin";
  request.fields.emplace_back("sec-fetch-site", "same-site");
  EXPECT_EQ(status_of_request({}, HttpPart::kApi, request), 403);
}

}  // namespace
}  // namespace equipoise::coordinator
