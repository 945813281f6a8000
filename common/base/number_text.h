// A float64 as text: the shortest decimal that reads back to the same bits ("0.1", "1e-05", "nan").
#pragma once

#include <string>

namespace equipoise {

std::string number_text(double value);

// Throws std::invalid_argument "FIELD is VALUE, expected EXPECTED" unless `good`.
void check_number(bool good, const std::string& field, double value, const char* expected);

}  // namespace equipoise
