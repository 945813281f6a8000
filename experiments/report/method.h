// The methods that the paper compares, and how reports name them.
#pragma once

#include <array>
#include <string_view>

namespace equipoise::reproduce {

enum class Family { kDpo, kIpo };
enum class Method { kDpo, kIsDpo, kGrDpo, kIpo, kIsIpo, kGrIpo, kGrIpoAuthors };

inline constexpr std::array kFamilies{Family::kDpo, Family::kIpo};

std::string_view family_name(Family family);   // "DPO"
std::string_view method_name(Method method);   // "GR-IPO (authors' α step)"
std::string_view method_label(Method method);  // for plots: "GR-IPO†"
Family family_of(Method method);
Method plain_method(Family family);       // DPO or IPO
Method importance_method(Family family);  // IS-DPO or IS-IPO
Method robust_method(Family family);      // GR-DPO or GR-IPO

// What the method is in its family, by which report.js chooses its colour and dash: "plain", "importance", "robust", or
// "authors" for GR-IPO with the authors' α step.
std::string_view method_role(Method method);

}  // namespace equipoise::reproduce
