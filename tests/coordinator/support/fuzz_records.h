// How many records a test makes up: some in every run of the tests, a million with `make fuzz`. And their damage.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace equipoise::coordinator {

// `usual`, or that many of FUZZ_RECORDS where the environment has it: at least `usual`.
inline int fuzz_records(int usual) {
  const char* const wanted = std::getenv("FUZZ_RECORDS");
  return wanted == nullptr ? usual : std::max(usual, std::stoi(wanted));
}

// Bytes cut off, put in or changed.
inline std::string changed_bytes(std::string bytes, std::mt19937_64& random) {
  const std::size_t place = bytes.empty() ? 0 : random() % bytes.size();
  switch (random() % 4) {
    case 0:
      return bytes.substr(0, place);
    case 1:
      return bytes.insert(place, 1 + random() % 8, static_cast<char>(random()));
    default:
      for (std::uint64_t i = 0, changes = 1 + random() % 4; i < changes && !bytes.empty(); ++i) {
        bytes[random() % bytes.size()] = static_cast<char>(random());
      }
      return bytes;
  }
}

}  // namespace equipoise::coordinator
