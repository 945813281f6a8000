// Rows of the CSV files of a report, as RFC 4180 has it but with "\n".
#pragma once

#include <string>
#include <vector>

namespace equipoise {

// Cells with a comma, a quote or a line end are put into quotes.
void add_csv_row(std::string& csv, const std::vector<std::string>& cells);

}  // namespace equipoise
