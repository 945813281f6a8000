// What is said of bad input.
#pragma once

#include <filesystem>
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

// The same about a file of `folder`, whose path is left out where the message begins with it.
template <class Work>
std::string refusal_in(const std::filesystem::path& folder, const Work& work) {
  const std::string message = refusal_of(work), prefix = folder.string() + "/";
  return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
}

}  // namespace equipoise
