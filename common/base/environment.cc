#include "common/base/environment.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <set>
#include <stdexcept>
#include <string_view>

#include "common/base/message_text.h"
#include "common/base/nearest_name.h"

namespace equipoise {
namespace {

constexpr std::string_view kPrefix = "EQUIPOISE_";
// Of those that users set.
constexpr std::array kUserVariables = {"EQUIPOISE_CACHE",     "EQUIPOISE_COORDINATOR", "EQUIPOISE_DEVICE",
                                       "EQUIPOISE_TLS_CA",    "EQUIPOISE_TLS_CERT",    "EQUIPOISE_TLS_KEY",
                                       "EQUIPOISE_TOKEN_FILE"};
// The coordinator sets the first two, deploy/slurm/train.sbatch reads the third, scripts of the tests the others.
constexpr std::array<std::string_view, 9> kOtherVariables = {
    "EQUIPOISE_ATTEMPT_TOKEN", "EQUIPOISE_ROOTS",    "EQUIPOISE_HOME",        "EQUIPOISE_BIN",       "EQUIPOISE_BUILD",
    "EQUIPOISE_CASE_LIMIT_S",  "EQUIPOISE_CRASH_AT", "EQUIPOISE_CRASH_BELOW", "EQUIPOISE_TEST_CACHE"};

bool is_unknown(std::string_view name) {
  return name.starts_with(kPrefix) && std::ranges::find(kUserVariables, name) == kUserVariables.end() &&
         std::ranges::find(kOtherVariables, name) == kOtherVariables.end();
}

std::string warning_for(const std::string& name) {
  constexpr std::size_t kLongestName = 64;  // comparing takes time by the length
  const std::vector<std::string> known(kUserVariables.begin(), kUserVariables.end());
  return "the environment variable " + quoted_text(name) + " has no effect, the nearest known name is " +
         nearest_name(std::string_view(name).substr(0, kLongestName), known);
}

std::optional<int> positive_number(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  text = text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
  int number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && number > 0;
  return is_number ? std::optional(number) : std::nullopt;
}

}  // namespace

std::string device_setting() {
  const char* const set = std::getenv("EQUIPOISE_DEVICE");
  std::string device = set == nullptr ? "" : set;
  if (device.empty() || device == "cpu" || device == "cuda") return device;
  throw std::invalid_argument("EQUIPOISE_DEVICE is " + quoted_text(device) + ", expected cpu or cuda");
}

std::optional<int> thread_setting() {
  const char* const set = std::getenv("OMP_NUM_THREADS");
  const std::string_view text = set == nullptr ? "" : set;
  if (text.empty()) return std::nullopt;
  std::optional<int> first;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    const std::optional<int> threads = positive_number(text.substr(begin, comma - begin));
    if (!threads) {
      throw std::invalid_argument("OMP_NUM_THREADS is " + quoted_text(text) +
                                  ", expected a whole number of threads from 1 on, or nothing");
    }
    if (!first) first = threads;
    begin = comma + 1;
  }
  return first;
}

std::vector<std::string> unknown_variables(std::span<const std::string> environment) {
  std::set<std::string> names;
  for (const std::string& variable : environment) {
    std::string name = variable.substr(0, variable.find('='));
    if (is_unknown(name)) names.insert(std::move(name));
  }
  std::vector<std::string> warnings;
  for (const std::string& name : names) warnings.push_back(warning_for(name));
  return warnings;
}

std::vector<std::string> unknown_variables() {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  return unknown_variables(environment);
}

}  // namespace equipoise
