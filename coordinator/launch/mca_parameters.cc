#include "coordinator/launch/mca_parameters.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string_view>

extern char** environ;

namespace equipoise::coordinator {
namespace {

constexpr std::string_view kPrefix = "OMPI_MCA_";

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\"");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\"") - begin + 1));
}

void read_file(const std::filesystem::path& file, std::map<std::string, std::string>& parameters) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    line.erase(std::min(line.find('#'), line.size()));
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    parameters.emplace(trimmed(std::string_view(line).substr(0, equals)),
                       trimmed(std::string_view(line).substr(equals + 1)));
  }
}

}  // namespace

McaParameters read_mca_parameters(std::span<const std::string> environment,
                                  std::span<const std::filesystem::path> files) {
  McaParameters parameters;
  for (const std::string& variable : environment) {
    const std::size_t equals = variable.find('=');
    if (!variable.starts_with(kPrefix) || equals == std::string::npos) continue;
    parameters.of_environment.emplace(variable.substr(kPrefix.size(), equals - kPrefix.size()),
                                      variable.substr(equals + 1));
  }
  for (const auto& file : files) read_file(file, parameters.of_files);
  return parameters;
}

std::vector<std::filesystem::path> mca_files(std::span<const std::string> environment) {
  constexpr std::string_view kHome = "HOME=";
  std::vector<std::filesystem::path> files;
  for (const std::string& variable : environment) {
    if (!variable.starts_with(kHome)) continue;
    files.push_back(std::filesystem::path(variable.substr(kHome.size())) / ".openmpi" / "mca-params.conf");
  }
  files.emplace_back("/etc/openmpi/openmpi-mca-params.conf");
  return files;
}

std::vector<std::string> own_environment() {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  return variables;
}

}  // namespace equipoise::coordinator
