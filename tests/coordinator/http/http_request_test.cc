#include "coordinator/http/http_request.h"

#include <gmock/gmock.h>

namespace equipoise::coordinator {
namespace {

using State = HttpRequestReader::State;

constexpr const char* kHost = "Host: a\r\n";

// 0: more is to come; 1: a request is whole.
int outcome_of(const std::string& bytes) {
  HttpRequestReader reader;
  switch (reader.read(bytes)) {
    case State::kMore:
      return 0;
    case State::kWhole:
      return 1;
    case State::kRefused:
      return reader.status();
  }
  return -1;
}

TEST(HttpRequest, HasItsPartsWithNamesInSmallLettersAndTheQueryDecoded) {
  HttpRequestReader reader;
  ASSERT_EQ(reader.read("POST /v1/jobs/a-1:pause?group=a%20b&group=c+d&x HTTP/1.1\r\nHOST: A:1\r\nX-Y:  z \r\n"
                        "Content-Length: 3\r\n\r\nabcGET"),
            State::kWhole);
  const HttpRequest request = reader.take();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/v1/jobs/a-1:pause");
  EXPECT_THAT(request.query, testing::ElementsAre(testing::Pair("group", "a b"), testing::Pair("group", "c d"),
                                                  testing::Pair("x", "")));
  EXPECT_EQ(*request.only_field("host"), "A:1");
  EXPECT_EQ(*request.only_field("x-y"), "z");
  EXPECT_EQ(request.body, "abc");
  EXPECT_TRUE(request.keeps_alive);
  EXPECT_EQ(reader.state(), State::kMore) << "GET begins the next one";
}

TEST(HttpRequest, OneBehindTheOtherIsTakenOneByOne) {
  HttpRequestReader reader;
  reader.read("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n");
  EXPECT_EQ(reader.take().path, "/1");
  ASSERT_EQ(reader.state(), State::kWhole);
  const HttpRequest second = reader.take();
  EXPECT_EQ(second.path, "/2");
  EXPECT_FALSE(second.keeps_alive);
  EXPECT_TRUE(reader.is_empty());
}

TEST(HttpRequest, WhatTwoProgramsMayUnderstandDifferentlyIsRefused) {
  const std::string get = std::string("GET / HTTP/1.1\r\n") + kHost, post = std::string("POST / HTTP/1.1\r\n") + kHost;
  EXPECT_EQ(outcome_of(get + "\r\n"), 1);
  EXPECT_EQ(outcome_of("GET / HTTP/1.1\r\n\r\n"), 400) << "no host";
  EXPECT_EQ(outcome_of(get + kHost + "\r\n"), 400) << "two hosts";
  EXPECT_EQ(outcome_of(post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), 400);
  EXPECT_EQ(outcome_of(post + "Content-Length: 0x1\r\n\r\na"), 400);
  EXPECT_EQ(outcome_of(post + "Content-Length: \r\n\r\n"), 400);
  EXPECT_EQ(outcome_of(post + "Transfer-Encoding: identity\r\n\r\n"), 501);
  EXPECT_EQ(outcome_of(get + "A: b\r\n c\r\n\r\n"), 400) << "a folded line";
  EXPECT_EQ(outcome_of(get + "A : b\r\n\r\n"), 400);
  EXPECT_EQ(outcome_of(get + "A: b\nB: c\r\n\r\n"), 400);
  EXPECT_EQ(outcome_of(get + std::string("A: \0\r\n\r\n", 8)), 400);
  EXPECT_EQ(outcome_of(get + "A: b\rC: d\r\n\r\n"), 400);
  EXPECT_EQ(outcome_of(get + "A: \x7f\r\n\r\n"), 400);
  // What a library's parser was seen to take (docs/decisions/0022).
  EXPECT_EQ(outcome_of(post + "Content-Length: 1, 1\r\n\r\na"), 400);
  EXPECT_EQ(outcome_of(post + "Content-Length: 1\r\n 0\r\n\r\n"), 400);
  EXPECT_EQ(outcome_of(post + "Transfer-Encoding: xchunked\r\n\r\n"), 501);
  EXPECT_EQ(outcome_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 501);
  for (const char* target : {"/\xff", "/#a", "/\\a", "*", "a:1", "/ b", ""}) {
    EXPECT_EQ(outcome_of(std::string("GET ") + target + " HTTP/1.1\r\nHost: a\r\n\r\n"), 400) << target;
  }
  EXPECT_EQ(outcome_of("G~T / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(outcome_of("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(outcome_of("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(outcome_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(outcome_of("GET /?a=%0a HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(outcome_of("GET /?a=%ff HTTP/1.1\r\nHost: a\r\n\r\n"), 400) << "no UTF-8";
}

// Each pair of bytes was removed by itself, which held up the thread of all connections.
TEST(HttpRequest, OnlyAFewEmptyLinesArePassedOver) {
  EXPECT_EQ(outcome_of("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 1);
  EXPECT_EQ(outcome_of("\r\n\r\n\r\n\r\n"), 0);
  EXPECT_EQ(outcome_of("\r\n\r\n\r\n\r\n\r\n"), 400);
  HttpRequestReader reader;
  for (int line = 0; line < 4; ++line) EXPECT_EQ(reader.read("\r\n"), State::kMore);
  EXPECT_EQ(reader.read("\r\n"), State::kRefused);
}

TEST(HttpRequest, NothingIsKeptBeyondTheLimits) {
  const HttpLimits limits;
  const std::string get = std::string("GET / HTTP/1.1\r\n") + kHost;
  EXPECT_EQ(outcome_of("GET /" + std::string(limits.line_bytes, 'a')), 414);
  EXPECT_EQ(outcome_of(get + "A: " + std::string(limits.head_bytes, 'a')), 431);
  std::string many = get;
  for (std::size_t at = 0; at < limits.headers; ++at) many += "A: b\r\n";
  EXPECT_EQ(outcome_of(many + "\r\n"), 431);
  const std::string length = std::to_string(limits.body_bytes + 1);
  EXPECT_EQ(outcome_of("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + length + "\r\n\r\n"), 413);
}

}  // namespace
}  // namespace equipoise::coordinator
