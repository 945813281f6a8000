// Databases as earlier versions of the program made them, from the SQL of that time.
#pragma once

#include <filesystem>
#include <string>

namespace equipoise::coordinator {

// The statements that made a database of schema 1 or 2, with its user_version. The signing key is 0102.
std::string schema_sql(int version);

// A new database of an earlier schema with the jobs, trainings and steps of one of the newest. Nobody has either open.
void copy_to_earlier_schema(const std::filesystem::path& newest, const std::filesystem::path& earlier, int version);

}  // namespace equipoise::coordinator
