// The folder of a job's logs, once the job is deleted.
#pragma once

#include <filesystem>

namespace equipoise::coordinator {

// Removes one file in `folder`, or 256 MiB of a larger one, or an empty folder in it, and at last `folder` itself.
// True: it is gone. Follows no links, and shortens no file that has another name. Throws
// std::filesystem::filesystem_error.
bool remove_some(const std::filesystem::path& folder);

}  // namespace equipoise::coordinator
