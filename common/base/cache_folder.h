// Where results that can be computed again are kept between runs: CACHE/KIND/NAME, with a name that is the digest of
// all that the result depends on. An entry is never changed, only replaced as a whole (durable_file.h), so processes
// may share the folder. Whoever reads one checks it; whatever is in there may be deleted at any time.
#pragma once

#include <filesystem>
#include <string_view>

#include "common/base/sha256.h"

namespace equipoise {

// EQUIPOISE_CACHE, else XDG_CACHE_HOME/equipoise, else HOME/.cache/equipoise, of which the first that is set counts,
// and of the latter two only absolute ones; empty where there is none: then nothing is kept. Touches no file. Throws
// std::invalid_argument for a relative EQUIPOISE_CACHE: each process may run in a folder of its own.
std::filesystem::path cache_folder();

// The file of an entry: folder/kind/HEX, or folder/kind/HEX.EXTENSION. `kind` is a plain name ("reference", "tokens").
// Touches no file; make_cache_place() makes the folders.
std::filesystem::path cache_entry(const std::filesystem::path& folder, std::string_view kind, const Digest& key,
                                  std::string_view extension = {});

// Makes the folder that `entry` will stand in, for this user alone. Throws std::invalid_argument naming it and the
// cause: a cache that cannot be written is no reason to fail, so callers say so in the log and go on without.
void make_cache_place(const std::filesystem::path& entry);

}  // namespace equipoise
