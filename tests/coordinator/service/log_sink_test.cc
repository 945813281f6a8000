#include "coordinator/service/log_sink.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

namespace equipoise::coordinator {
namespace log_sink_test {

using ::testing::HasSubstr;

// Standard error is `target` for as long as it lives.
class RedirectedErrors {
 public:
  explicit RedirectedErrors(int target) : saved_(::dup(STDERR_FILENO)) { ::dup2(target, STDERR_FILENO); }
  ~RedirectedErrors() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
  }
  RedirectedErrors(const RedirectedErrors&) = delete;
  RedirectedErrors& operator=(const RedirectedErrors&) = delete;

 private:
  int saved_;
};

std::string all_of(int reader) {
  std::string text;
  std::array<char, 4096> part{};
  for (ssize_t n = 0; (n = ::read(reader, part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(n));
  }
  return text;
}

// A coordinator whose log nobody read stood still, with the lock of all calls, as soon as the pipe was full.
TEST(ErrorStreamSink, LeavesLinesOutWhereNobodyReadsThemAndSaysSo) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ASSERT_EQ(::fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
  spdlog::logger log("test", std::make_shared<ErrorStreamSink>());
  log.set_pattern("%v");
  std::string first, rest;
  {
    const RedirectedErrors redirected(ends[1]);
    constexpr int kLines = 10'000;  // of 100 bytes: far more than a pipe holds
    for (int line = 0; line < kLines; ++line) log.info("{:0>99}", line);
    first = all_of(ends[0]);
    log.info("read again");
    rest = all_of(ends[0]);
  }
  ::close(ends[0]);
  ::close(ends[1]);
  const auto written = first.size() / 100;
  EXPECT_EQ(first.size() % 100, 0u) << "a line was cut";
  EXPECT_GT(written, 0u);
  EXPECT_EQ(rest, std::to_string(10'000 - written) + " lines of the log could not be written\nread again\n");
}

TEST(ErrorStreamSink, OutlivesAFullDisk) {
  const int full = ::open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ASSERT_EQ(::fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
  spdlog::logger log("test", std::make_shared<ErrorStreamSink>());
  log.set_pattern("%v");
  {
    const RedirectedErrors redirected(full);
    log.info("lost");
    log.info("lost");
  }
  std::string text;
  {
    const RedirectedErrors redirected(ends[1]);
    log.info("room again");
    text = all_of(ends[0]);
  }
  for (const int descriptor : {full, ends[0], ends[1]}) ::close(descriptor);
  EXPECT_THAT(text, HasSubstr("lines of the log could not be written\nroom again\n"));
}

}  // namespace log_sink_test
}  // namespace equipoise::coordinator
