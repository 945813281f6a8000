#include "worker/training/run_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <sstream>
#include <string>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace run_ledger_test {

using testing::HasSubstr;

TEST(LedgerWatch, WarnsBeforeAndWhenStepsGetNoRecordsOfTheirOwn) {
  const TempFolder temp;
  LedgerWriter ledger(temp / "ledger.bin");
  ledger.checkpoint({.generation = 1, .step = 1, .manifest = {}, .parameters = {}});
  std::ostringstream text;
  spdlog::logger log("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
  LedgerConfig settings{.steps_bytes = ledger.bytes() * 2};
  LedgerWatch watch(log, settings);
  watch.look(ledger, 10);
  EXPECT_EQ(text.str(), "");
  settings.steps_bytes = ledger.bytes() + 1;
  watch.look(ledger, 20);
  EXPECT_THAT(text.str(), HasSubstr("ledger.bin has 0 of 0 MiB (ledger.steps_mib): beyond"));
  text.str("");
  watch.look(ledger, 30);
  EXPECT_EQ(text.str(), "") << "once";
  settings.steps_bytes = ledger.bytes();
  watch.look(ledger, 40);
  EXPECT_THAT(text.str(), HasSubstr("from about step 40 on one record stands for thousands of steps"));
  text.str("");
  watch.look(ledger, 50);
  EXPECT_EQ(text.str(), "") << "once";
}

}  // namespace run_ledger_test
}  // namespace equipoise
