// A data file of pairs that a test holds.
#pragma once

#include <filesystem>

#include "client/data/preference_writer.h"

namespace equipoise {

inline void write_preference_file(const PreferenceData& data, const std::filesystem::path& path) {
  DurableFile file(path);
  write_lines(data, file);
  file.commit();
}

}  // namespace equipoise
