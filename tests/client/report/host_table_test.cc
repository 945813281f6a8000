#include "client/report/host_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace equipoise {
namespace host_table_test {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(HostTable, ShowsWhoIsLeftOutAndWhy) {
  v1::ListHostsResponse hosts;
  v1::Host& first = *hosts.add_hosts();
  first.set_name("node1");
  first.set_slots(8);
  first.set_used_slots(6);
  first.set_recent_failures(2);
  first.set_state(v1::HOST_STATE_CORDONED);
  first.add_job_ids("survey-1");
  first.add_job_ids("survey-2");
  first.mutable_cordon()->set_reason("its fan \x1b[2J is loud");
  const std::string text = host_table(hosts, Colors::kOff, Glyphs::kAscii);
  EXPECT_THAT(text, HasSubstr("CORDONED     6      8         2  survey-1, survey-2"));
  EXPECT_THAT(text, HasSubstr("is loud"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b"))) << "a reason must not command the terminal";
  EXPECT_THAT(text, Not(HasSubstr("cordoned by")));
  first.mutable_cordon()->set_cause(v1::CORDON_CAUSE_FAILURES);
  EXPECT_THAT(host_table(hosts, Colors::kOff, Glyphs::kAscii, TableDetail::kWide),
              HasSubstr("is loud  its failures\n"));
  EXPECT_THAT(host_table(hosts, Colors::kOn, Glyphs::kAscii), HasSubstr("\x1b[33mCORDONED\x1b[0m"));
  EXPECT_EQ(host_state_name(v1::HOST_STATE_UNANSWERING), "UNANSWERING");
}

}  // namespace host_table_test
}  // namespace equipoise
