// How many pairs each group has in data files.
#pragma once

#include <string>

#include "client/console.h"
#include "client/data/preference_import.h"

namespace equipoise {

// A row for each group; two columns where there is a validation file. Equal answers, empty answers and duplicates have
// a column each where a group has some.
std::string preference_table(const PreferenceCounts& counts, Colors colors, Glyphs glyphs);

}  // namespace equipoise
