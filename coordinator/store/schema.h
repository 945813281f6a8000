// The tables of the coordinator's database, and their version.
#pragma once

#include "coordinator/store/database.h"

namespace equipoise::coordinator {

// Makes the tables in a new database, and brings those of an older program up to date, whole or not at all. Throws
// std::invalid_argument where a newer program made the file.
Database with_schema(Database database);
// The same of a database that is only read: throws std::invalid_argument where an older program made it, too.
Database with_newest_schema(Database database);

}  // namespace equipoise::coordinator
