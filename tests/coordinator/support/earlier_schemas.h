// Databases as earlier versions of the program made them, from the SQL of that time.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "coordinator/weights/weight_owner.h"

namespace equipoise::coordinator {

// The statements that made a database of schema 1, 2 or 3, with its user_version. The signing key is 0102.
std::string schema_sql(int version);

// Steps of attempt 1 of a job, whole: as an earlier program stored them.
struct EarlierSteps {
  std::string job_id;
  std::vector<StepRecord> records;
};

// A new database of an earlier schema with the jobs and trainings of one of the newest, and these steps. Nobody has
// either open.
void copy_to_earlier_schema(const std::filesystem::path& newest, const std::filesystem::path& earlier, int version,
                            const EarlierSteps& steps = {});

}  // namespace equipoise::coordinator
