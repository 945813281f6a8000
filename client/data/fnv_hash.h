// FNV-1a, 64 bits: what is drawn for a text follows from the text alone, on every machine and in every version.
// Source: http://www.isthe.com/chongo/tech/comp/fnv. std::hash promises neither.
#pragma once

#include <cstdint>
#include <string_view>

namespace equipoise {

constexpr std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash;
}

}  // namespace equipoise
