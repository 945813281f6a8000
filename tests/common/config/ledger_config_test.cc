#include "common/config/ledger_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/config/job_file.h"
#include "tests/common/config/resolved_job.h"
#include "tests/support/refusal.h"

namespace equipoise {
namespace ledger_config_test {

using testing::HasSubstr;

v1::JobSpec spec_with(const std::string& ledger) {
  v1::JobSpec spec;
  merge_job_text("job.yaml",
                 "name: a\nmodel: {path: /m}\ndata: {train: /t.jsonl}\noutput: /o\nledger: {" + ledger + "}\n", spec);
  return spec;
}

TEST(LedgerConfig, HasAGibibyteOfStepsUnlessTold) {
  EXPECT_EQ(make_job_config(spec_with("")).ledger.steps_bytes, std::int64_t{1} << 30);
  EXPECT_EQ(resolved_job(spec_with("")).ledger().steps_mib(), 1024);
  EXPECT_EQ(make_job_config(spec_with("steps_mib: 0")).ledger.steps_bytes, 0);
  EXPECT_EQ(make_job_config(spec_with("steps_mib: 3")).ledger.steps_bytes, 3 * 1024 * 1024);
  EXPECT_EQ(resolved_job(spec_with("steps_mib: 1000000000")).ledger().steps_mib(), kMostLedgerMib);
}

TEST(LedgerConfig, RefusesWhatIsNoNumberOfMebibytes) {
  for (const char* const steps : {"-1", "1000000001"}) {
    EXPECT_THAT(refusal_of([&] { make_job_config(spec_with(std::string("steps_mib: ") + steps)); }),
                HasSubstr("ledger.steps_mib"))
        << steps;
  }
}

}  // namespace ledger_config_test
}  // namespace equipoise
