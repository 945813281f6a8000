#include "client/report/claims_text.h"

namespace equipoise {

std::string claims_text(std::span<const reproduce::Claim> claims, std::span<const std::string> columns) {
  std::string text;
  for (const reproduce::Claim& claim : claims) {
    text += claim.statement + "\n";
    for (std::size_t i = 0; i < claim.findings.size(); ++i) {
      const std::optional<reproduce::Finding>& finding = claim.findings[i];
      if (!finding) continue;
      const bool holds = finding->verdict == reproduce::Verdict::kHolds;
      text += (holds ? "  holds          " : "  does not hold  ") + columns[i] + ": " + finding->numbers + "\n";
    }
  }
  return text;
}

}  // namespace equipoise
