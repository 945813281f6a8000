#include "coordinator/service/log_format.h"

#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <sstream>

namespace equipoise::coordinator {
namespace log_format_test {

TEST(OneLineFormatter, MakesOneLineWithoutControlsOfWhateverIsLogged) {
  std::ostringstream out;
  const auto sink = std::make_shared<spdlog::sinks::ostream_sink_st>(out);
  spdlog::logger log("test", sink);
  log.set_formatter(std::make_unique<OneLineFormatter>("%^%l%$ %v"));
  log.info("host {}", "node1\x1B[2J\n2026-01-01T00:00:00 error forged");
  log.info("node2");
  EXPECT_EQ(out.str(), "info host node1 [2J 2026-01-01T00:00:00 error forged\ninfo node2\n");
}

}  // namespace log_format_test
}  // namespace equipoise::coordinator
