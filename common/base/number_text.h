// A float64 as text: the shortest decimal that reads back to the same bits ("0.1", "1e-05", "nan").
#pragma once

#include <string>

namespace equipoise {

std::string number_text(double value);

}  // namespace equipoise
