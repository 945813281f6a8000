#include "coordinator/job/job_filter.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include <random>
#include <stdexcept>
#include <string>

namespace equipoise::coordinator {
namespace job_filter_test {

using google::protobuf::util::TimeUtil;
using ::testing::HasSubstr;

v1::TrainingJob filtered_job() {
  v1::TrainingJob job;
  job.set_id("survey-00c0ffee");
  job.mutable_spec()->set_name("survey");
  job.set_state(v1::JOB_STATE_FAILED);
  job.set_failure_kind(v1::FAILURE_KIND_INFRASTRUCTURE);
  job.set_priority(-3);
  job.set_step(120);
  TimeUtil::FromString("2026-11-30T12:00:00Z", job.mutable_create_time());
  return job;
}

bool holds(const std::string& filter) { return JobFilter(filter).holds(filtered_job()); }

std::string refusal(const std::string& filter) {
  try {
    (void)JobFilter(filter);
  } catch (const std::invalid_argument& wrong) {
    return wrong.what();
  }
  return "taken";
}

TEST(JobFilter, ComparesEachField) {
  for (const char* filter : {"",
                             "  ",
                             "id = survey-00c0ffee",
                             "id=\"survey-00c0ffee\"",
                             "id != other",
                             "name : \"urve\"",
                             "name:survey",
                             "parent_id = \"\"",
                             "state = FAILED",
                             "state = failed",
                             "state = JOB_STATE_FAILED",
                             "state != RUNNING",
                             "failure_kind = INFRASTRUCTURE",
                             "priority < 0",
                             "priority = -3",
                             "step >= 120",
                             "step <= 120",
                             "step > 119",
                             "step != 7",
                             "create_time > 2026-11-30T11:59:59Z",
                             "create_time = \"2026-11-30T13:00:00+01:00\"",
                             "create_time <= 2026-11-30T12:00:00Z",
                             "end_time != 2026-11-30T12:00:00Z",
                             "state = FAILED AND step > 100 AND name : sur"}) {
    EXPECT_TRUE(holds(filter)) << filter;
  }
  for (const char* filter :
       {"id = survey", "id != survey-00c0ffee", "name : x", "state = RUNNING", "failure_kind != infrastructure",
        "priority >= 0", "step < 120", "step = 12", "create_time < 2026-11-30T12:00:00Z", "parent_id : s",
        "start_time < 2026-11-30T12:00:00Z", "end_time > 2000-01-01T00:00:00Z", "state = FAILED AND step > 1000"}) {
    EXPECT_FALSE(holds(filter)) << filter;
  }
}

TEST(JobFilter, ATextMayHaveQuotesAndBackslashes) {
  v1::TrainingJob job;
  job.set_parent_id(R"(a "b" \c AND d)");
  EXPECT_TRUE(JobFilter(R"(parent_id = "a \"b\" \\c AND d")").holds(job));
  EXPECT_TRUE(JobFilter(R"(parent_id : "\c")").holds(job));
}

TEST(JobFilter, RefusesWithTheColumnAndWhatWasExpected) {
  EXPECT_THAT(refusal("stat = FAILED"), HasSubstr("filter, column 1: \"stat\", expected one of: id, name,"));
  EXPECT_THAT(refusal("state < FAILED"), HasSubstr("filter, column 7: \"< FAILED\", expected = or !="));
  EXPECT_THAT(refusal("state = FAILD"), HasSubstr("filter, column 9: \"FAILD\", expected a state such as"));
  EXPECT_THAT(refusal("step = 1.5"), HasSubstr("column 8: \"1.5\", expected an integer"));
  EXPECT_THAT(refusal("step = 99999999999999999999"), HasSubstr("expected an integer"));
  EXPECT_THAT(refusal("step : 1"), HasSubstr("column 6: \": 1\", expected =, !=, <, <=, > or >="));
  EXPECT_THAT(refusal("create_time > yesterday"), HasSubstr("column 15: \"yesterday\", expected a time such as"));
  EXPECT_THAT(refusal("step ="), HasSubstr("column 7: it ends, expected a value"));
  EXPECT_THAT(refusal("step"), HasSubstr("column 5: it ends, expected"));
  EXPECT_THAT(refusal("step = 1 OR step = 2"), HasSubstr("column 10: \"OR\", expected AND or the end"));
  EXPECT_THAT(refusal("step = 1 AND "), HasSubstr("column 14: it ends, expected a comparison after AND"));
  EXPECT_THAT(refusal("name = \"open"), HasSubstr("column 8: it ends, expected a \" at the end"));
  EXPECT_THAT(refusal(std::string(1025, ' ')), HasSubstr("filter has 1025 bytes, expected at most 1024"));
  std::string many = "step = 1";
  for (int i = 0; i < 32; ++i) many += " AND step = 1";
  EXPECT_THAT(refusal(many), HasSubstr("expected at most 32"));
}

TEST(JobFilter, WhateverIsAskedIsAnsweredOrRefused) {
  const std::string alphabet = "abcstep_id=!<>:\"\\ AND0123456789-TZ\n\xff\x01";
  std::minstd_rand random(7);  // NOLINT(cert-msc51-cpp): the same on every run
  for (int i = 0; i < 20'000; ++i) {
    std::string filter;
    for (auto length = random() % 60; length > 0; --length) filter += alphabet[random() % alphabet.size()];
    try {
      (void)JobFilter(filter).holds(filtered_job());
    } catch (const std::invalid_argument& wrong) {
      EXPECT_THAT(wrong.what(), HasSubstr("filter, column "));
    }
  }
}

}  // namespace job_filter_test
}  // namespace equipoise::coordinator
