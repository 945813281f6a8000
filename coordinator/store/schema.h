// The tables of the coordinator's database, and their version.
#pragma once

#include "coordinator/store/database.h"

namespace equipoise::coordinator {

// Makes the tables in a new database. Throws std::invalid_argument where a newer program made the file.
Database with_schema(Database database);

}  // namespace equipoise::coordinator
