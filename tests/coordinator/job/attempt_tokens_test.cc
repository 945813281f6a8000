#include "coordinator/job/attempt_tokens.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace attempt_tokens_test {

class AttemptTokensTest : public ControllerFixture {
 protected:
  bool knows(const std::string& id, const std::string& token) {
    try {
      core_->table().attempt_tokens().check_stranger(id, token);
      return true;
    } catch (const Refusal& refusal) {
      EXPECT_EQ(refusal.code(), Refusal::Code::kPermissionDenied);
      return false;
    }
  }
};

TEST_F(AttemptTokensTest, KnowTheTokenOfALaunchedAttemptAndNoOther) {
  const std::string id = running_job(v1::LAUNCH_MODE_COORDINATOR, 1);
  const std::string token = launcher_.started.back().token;
  EXPECT_TRUE(knows(id, token));
  EXPECT_FALSE(knows(id, token + "0"));
  EXPECT_FALSE(knows(id, ""));
  EXPECT_FALSE(knows("survey-00000000", token));
}

TEST_F(AttemptTokensTest, AJobOfAUserHasNone) {
  const std::string id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  EXPECT_FALSE(knows(id, ""));
  // What is on record of it in place of a token is no secret.
  EXPECT_FALSE(knows(id, "node0\n1000"));
}

TEST_F(AttemptTokensTest, TheNextAttemptTakesThePlaceOfTheOneBefore) {
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1);
  spec.mutable_launch()->set_max_restarts(3);
  const std::string id = running_job(spec);
  const std::string first = launcher_.started.back().token;
  mpirun_exits(id, 137);
  pass(std::chrono::seconds(60));
  ASSERT_EQ(launcher_.started.size(), 2u);
  EXPECT_FALSE(knows(id, first));
  EXPECT_TRUE(knows(id, launcher_.started.back().token));
}

TEST_F(AttemptTokensTest, OutliveTheCoordinatorWithTheAttemptAndGoWithTheJob) {
  const std::string id = running_job(v1::LAUNCH_MODE_COORDINATOR, 1);
  const std::string token = launcher_.started.back().token;
  restart({{.job_id = id, .generation = 1}});
  EXPECT_TRUE(knows(id, token));
  EXPECT_FALSE(knows(id, "")) << "its digest alone is known";
  v1::CancelTrainingJobRequest cancel;
  cancel.set_id(id);
  jobs().cancel(cancel);
  mpirun_exits(id, 143);
  v1::DeleteTrainingJobRequest request;
  request.set_id(id);
  jobs().remove(request);
  EXPECT_FALSE(knows(id, token));
}

}  // namespace attempt_tokens_test
}  // namespace equipoise::coordinator
