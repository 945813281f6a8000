// Numbers as tables and progress lines show them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace equipoise {

// "0.6931"; "–" where there is none; "nan", "inf" as they are. Below 1e-4 or from 1e5: "1.2e-05".
std::string loss_text(std::optional<double> value);
// A share of 1: "0.512"; "–" where there is none.
std::string share_text(std::optional<double> value);
// Counts that may be fractional: "812", "40.5".
std::string count_text(double value);
// Speeds: "0.31", "9.4", "118".
std::string speed_text(double value);
// Bytes: "812 B", "12.3 kB", "1.24 GB"; decimal units.
std::string size_text(std::int64_t bytes);
// "0:42", "12:03", "1:02:03", "3 d 4 h".
std::string duration_text(std::chrono::seconds duration);

}  // namespace equipoise
