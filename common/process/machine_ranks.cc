#include "common/process/machine_ranks.h"

#include <algorithm>
#include <thread>

namespace equipoise {

int most_ranks_of_this_machine() {
  constexpr unsigned kAlways = 64, kRanksPerCore = 4;
  return static_cast<int>(std::max(kAlways, kRanksPerCore * std::thread::hardware_concurrency()));
}

}  // namespace equipoise
