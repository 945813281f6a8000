// What the file system says of a path. None of these throws.
#pragma once

#include <filesystem>

namespace equipoise {

// Whether anything has this name: a file, a folder, also a link to nothing.
bool entry_exists(const std::filesystem::path& path);

// A path's one name, so that two can be compared: absolute, links resolved as far as they are there, without a slash at
// the end. Where the system refuses to say (a name that is too long, links in a circle) links stay.
std::filesystem::path resolved_path(const std::filesystem::path& path);

// Whether `path` is `folder` or below it. Both are resolved.
bool is_within(const std::filesystem::path& path, const std::filesystem::path& folder);

}  // namespace equipoise
