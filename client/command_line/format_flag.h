// --format of verbs that print a table.
#pragma once

#include <CLI/CLI.hpp>

#include "client/table/text_table.h"

namespace equipoise {

// Declares it on `verb`. `format` outlives the verb and keeps its value where the flag is absent.
void add_format_flag(CLI::App& verb, TableFormat& format);

}  // namespace equipoise
