// Pages of the database's file that hold nothing any more: how it gets smaller again.
#pragma once

#include <cstdint>

#include "coordinator/store/database.h"

namespace equipoise::coordinator {

// A database that an older program made keeps free pages for what comes, and its file never gets smaller, unless it is
// written anew. This does so where that is no matter of more than a second (64 MiB); a larger one stays as it is, and
// so does one that is damaged or has no room. A new database needs it never.
void make_shrinkable(Database& database);

// Gives up to `most` free pages back to the file system, as long as over 16 MiB of them are free. False: there is
// nothing to give back. Throws StoreError.
bool release_free_pages(Database& database, std::int64_t most);

}  // namespace equipoise::coordinator
