// Files of a run's folder, opened for people: nothing but plain files where the service may look.
#pragma once

#include <filesystem>
#include <functional>

namespace equipoise {

// Whether a file that was opened, whose path is resolved, may be read.
using MayRead = std::function<bool(const std::filesystem::path&)>;

// A descriptor to read from, which is the caller's; -1: there is no plain file, or none that may be read.
int open_run_file(const std::filesystem::path& file, const MayRead& may_read);

}  // namespace equipoise
