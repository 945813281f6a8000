// Databases of which a page is damaged, as a bad sector or a torn write leaves them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace equipoise::coordinator {

// Writes zeros over the leaf with this index of a table or an index ("sqlite_autoindex_jobs_1" is that of the jobs'
// ids). Nobody has the file open. Throws std::runtime_error where there is no such leaf.
void destroy_leaf(const std::filesystem::path& file, const std::string& name, std::size_t leaf);

}  // namespace equipoise::coordinator
