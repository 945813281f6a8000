#include "common/config/message_schema.h"

#include <gtest/gtest.h>

#include "equipoise/v1/job.pb.h"

namespace equipoise {
namespace message_schema_test {

TEST(NearestKey, PrefersTheSameNameInAnotherPlace) {
  const auto& job = *v1::JobSpec::descriptor();
  EXPECT_EQ(nearest_key(job, job, "warmup_steps"), "optimizer.schedule.warmup_steps");
  EXPECT_EQ(nearest_key(job, *v1::LossSpec::descriptor(), "betas"), "optimizer.betas");
  EXPECT_EQ(nearest_key(job, *v1::LossSpec::descriptor(), "bet"), "beta");
  EXPECT_EQ(nearest_key(job, job, "optimiser"), "optimizer");
  EXPECT_EQ(nearest_key(job, job, "use_logits_to_keep"), "");
  EXPECT_EQ(nearest_key(job, job, std::string(100000, 'x')), "");  // and takes no time for it
}

TEST(FindField, KnowsBothSpellings) {
  const auto& loss = *v1::LossSpec::descriptor();
  EXPECT_EQ(find_field(loss, "labelSmoothing"), find_field(loss, "label_smoothing"));
  EXPECT_EQ(find_field(loss, "LabelSmoothing"), nullptr);
}

}  // namespace message_schema_test
}  // namespace equipoise
