#include "client/data/log_linear_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "common/config/job_config.h"
#include "common/config/job_file.h"
#include "common/log_linear/preference.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace log_linear_files_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

LogLinearFilesOptions three_groups() {
  LogLinearFilesOptions options;
  options.problem = {.features = log_linear::FeatureMap::kFlipped,
                     .actions = 5,
                     .reward_KD = {{1, 3}, {3, 1}, {2, 2}},
                     .initial_theta_D = {0.1, 0.7}};
  options.train = {.responses = log_linear::Responses::kUneven,
                   .preferring = log_linear::Preferring::kBradleyTerry,
                   .group_sizes_K = {7, 20, 3},
                   .seed = 5};
  options.evaluation_size = 4;
  return options;
}

std::vector<std::size_t> sizes(const std::vector<log_linear::Preference>& pairs, std::size_t groups) {
  std::vector<std::size_t> count_K(groups);
  for (const log_linear::Preference& pair : pairs) ++count_K[pair.group];
  return count_K;
}

TEST(LogLinearFiles, HoldTheProblemAndAsManyPairsAsAskedFor) {
  const TempFolder folder;
  const LogLinearFiles files = write_log_linear_files(three_groups(), folder / "new" / "bandit");
  const JobConfig job = make_job_config(read_job_file(files.job, {}));
  ASSERT_TRUE(job.log_linear);
  const log_linear::Problem& problem = job.log_linear->problem;
  EXPECT_EQ(problem.reward_KD, three_groups().problem.reward_KD);
  EXPECT_EQ(problem.initial_theta_D, three_groups().problem.initial_theta_D);
  EXPECT_EQ(problem.features, log_linear::FeatureMap::kFlipped);
  EXPECT_EQ(problem.actions, 5u);
  EXPECT_EQ(job.data.train, files.train);
  EXPECT_EQ(sizes(log_linear::read_noted_preferences(job.data.train, problem).preferences, 3),
            (std::vector<std::size_t>{7, 20, 3}));
  EXPECT_EQ(sizes(log_linear::read_noted_preferences(*job.data.validation, problem).preferences, 3),
            std::vector<std::size_t>(3, 4));
  EXPECT_EQ(sizes(log_linear::read_noted_preferences(*job.data.test, problem).preferences, 3),
            std::vector<std::size_t>(3, 4));
}

TEST(LogLinearFiles, AreTheSameForTheSameSeedAndOthersForAnother) {
  const TempFolder folder;
  LogLinearFilesOptions options = three_groups();
  const auto first = write_log_linear_files(options, folder / "a");
  const auto second = write_log_linear_files(options, folder / "b");
  options.train.seed = 6;
  const auto other = write_log_linear_files(options, folder / "c");
  EXPECT_EQ(read_file(first.train), read_file(second.train));
  EXPECT_EQ(read_file(first.test), read_file(second.test));
  EXPECT_NE(read_file(first.train), read_file(other.train));
  EXPECT_NE(read_file(first.validation), read_file(first.test));
}

TEST(LogLinearFiles, LeaveAJobThatIsThereAndRefuseBadSizes) {
  const TempFolder folder;
  folder.write("job.yaml", "name: mine\n");
  EXPECT_THAT([&] { write_log_linear_files(three_groups(), folder / ""); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("job.yaml is there already")));
  LogLinearFilesOptions options = three_groups();
  options.train.group_sizes_K.pop_back();
  EXPECT_THROW(write_log_linear_files(options, folder / "bad"), std::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(folder / "bad"));
}

}  // namespace log_linear_files_test
}  // namespace equipoise
