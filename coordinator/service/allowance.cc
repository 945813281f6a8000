#include "coordinator/service/allowance.h"

#include <algorithm>

namespace equipoise::coordinator {

double AllowanceUse::used(const Allowance& allowance, Time now) const {
  const std::chrono::duration<double> passed = now - noted_at_;
  return std::max(0.0, used_ - passed.count() * allowance.per_second);
}

bool AllowanceUse::take(double amount, const Allowance& allowance, Time now) {
  const double wanted = used(allowance, now) + amount;
  used_ = std::min(wanted, allowance.burst);
  noted_at_ = now;
  return wanted <= allowance.burst;
}

bool AddressAllowances::take(const std::string& address, Time now) {
  forget_unused(now);
  AllowanceUse& use = uses_[address];
  return use.used(of_each_, now) + 1 <= of_each_.burst && use.take(1, of_each_, now);
}

void AddressAllowances::forget_unused(Time now) {
  constexpr std::chrono::seconds kBetweenLooks{1};
  if (now - looked_at_ < kBetweenLooks) return;
  looked_at_ = now;
  std::erase_if(uses_, [&](const auto& entry) { return entry.second.used(of_each_, now) <= 0; });
}

}  // namespace equipoise::coordinator
