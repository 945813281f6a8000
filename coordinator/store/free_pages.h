// Pages of the database's file that hold nothing any more.
#pragma once

#include "coordinator/store/database.h"

namespace equipoise::coordinator {

// Rows that are deleted leave pages that later rows take: the file gets no smaller by itself. Here it is written anew
// without them, where they are over half of it and 16 MiB, and what is left is no matter of more than a second or two
// (256 MiB). A file that is damaged or has no room beside it stays as it is. For the start, when nobody waits.
//
// SQLite's own way, auto_vacuum, moves pages about whenever a table is made, and so refuses to make one beside a
// damaged page: damaged tables could not be made anew (JobStore::replace_damaged_tables).
Database without_free_pages(Database database);

}  // namespace equipoise::coordinator
