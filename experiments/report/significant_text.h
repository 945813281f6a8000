// Numbers as a report's tables show them.
#pragma once

#include <string>

namespace equipoise::reproduce {

// Rounded to three significant digits, with trailing zeros: "0.480", "17.6", "−0.00123", "1.23e-05" below 1e-4,
// "123000". What is not finite as "nan", "inf", "−inf".
std::string significant_text(double value);
// The same with `digits` significant digits, 1 to 15.
std::string significant_text(double value, int digits);

}  // namespace equipoise::reproduce
