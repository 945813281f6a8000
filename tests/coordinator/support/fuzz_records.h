// How many records a test makes up: some in every run of the tests, a million with `make fuzz`.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>

namespace equipoise::coordinator {

// `usual`, or that many of FUZZ_RECORDS where the environment has it: at least `usual`.
inline int fuzz_records(int usual) {
  const char* const wanted = std::getenv("FUZZ_RECORDS");
  return wanted == nullptr ? usual : std::max(usual, std::stoi(wanted));
}

}  // namespace equipoise::coordinator
