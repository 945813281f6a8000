// How often something may be done: so many at once, and so many a second in the mean.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace equipoise::coordinator {

struct Allowance {
  double burst = 0, per_second = 0;
};

// How much of an Allowance is used up.
class AllowanceUse {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // False: there was less left, and nothing is left now.
  bool take(double amount, const Allowance& allowance, Time now);
  double used(const Allowance& allowance, Time now) const;

 private:
  double used_ = 0;
  Time noted_at_{};
};

// The same allowance for each address. Not thread-safe.
class AddressAllowances {
 public:
  using Time = AllowanceUse::Time;
  explicit AddressAllowances(Allowance of_each) : of_each_(of_each) {}
  // One. False: there was less left, and that stays, so that an address that asks without end has its mean.
  bool take(const std::string& address, Time now);

 private:
  void forget_unused(Time now);

  const Allowance of_each_;
  std::map<std::string, AllowanceUse> uses_;
  Time looked_at_{};
};

}  // namespace equipoise::coordinator
