// What is said of bad input.
#pragma once

#include <stdexcept>
#include <string>

namespace equipoise {

// The message of the std::invalid_argument that `work` throws; "accepted" where it throws none.
template <class Work>
std::string refusal_of(const Work& work) {
  try {
    work();
  } catch (const std::invalid_argument& problem) {
    return problem.what();
  }
  return "accepted";
}

}  // namespace equipoise
