// A folder of files that is there whole or not at all.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace equipoise::reproduce {

struct ReportFile {
  std::string name;  // a plain name, no folder
  std::string content;
};

// Says early what write_report_folder() would say. `folder` may be absent, empty, or an earlier report: a folder that
// holds files of these names only. Throws std::invalid_argument naming what stands in the way.
void check_report_folder(const std::filesystem::path& folder, const std::vector<std::string>& names);

// Writes all files aside, then puts the folder in its place with one rename; an earlier report is exchanged for it.
// Throws as check_report_folder does, and std::runtime_error where the disk refuses; `folder` is then as it was.
void write_report_folder(const std::filesystem::path& folder, const std::vector<ReportFile>& files);

}  // namespace equipoise::reproduce
