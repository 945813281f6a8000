#include "experiments/report/method.h"

#include "common/base/error.h"

namespace equipoise::reproduce {

std::string_view family_name(Family family) { return family == Family::kDpo ? "DPO" : "IPO"; }

std::string_view method_name(Method method) {
  return method == Method::kGrIpoAuthors ? "GR-IPO (authors' α step)" : method_label(method);
}

std::string_view method_label(Method method) {
  switch (method) {
    case Method::kDpo:
      return "DPO";
    case Method::kIsDpo:
      return "IS-DPO";
    case Method::kGrDpo:
      return "GR-DPO";
    case Method::kIpo:
      return "IPO";
    case Method::kIsIpo:
      return "IS-IPO";
    case Method::kGrIpo:
      return "GR-IPO";
    case Method::kGrIpoAuthors:
      return "GR-IPO†";
  }
  check_failed("a method of the experiment", __FILE__, __LINE__);
}

Family family_of(Method method) { return method <= Method::kGrDpo ? Family::kDpo : Family::kIpo; }
Method plain_method(Family family) { return family == Family::kDpo ? Method::kDpo : Method::kIpo; }
Method importance_method(Family family) { return family == Family::kDpo ? Method::kIsDpo : Method::kIsIpo; }
Method robust_method(Family family) { return family == Family::kDpo ? Method::kGrDpo : Method::kGrIpo; }

std::string_view method_role(Method method) {
  if (method == Method::kGrIpoAuthors) return "authors";
  const Family family = family_of(method);
  if (method == plain_method(family)) return "plain";
  return method == importance_method(family) ? "importance" : "robust";
}

}  // namespace equipoise::reproduce
