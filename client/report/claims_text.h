// What an experiment says of its claims, for the terminal.
#pragma once

#include <span>
#include <string>

#include "client/reproduce/claim.h"

namespace equipoise {

// A line a claim, below it a line for each finding: "holds          even_imbalanced: NUMBERS".
std::string claims_text(std::span<const reproduce::Claim> claims, std::span<const std::string> columns);

}  // namespace equipoise
