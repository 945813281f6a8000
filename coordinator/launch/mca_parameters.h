// What the operator has set for Open MPI beside the command line: variables OMPI_MCA_NAME and files "NAME = VALUE".
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace equipoise::coordinator {

struct McaParameters {
  std::map<std::string, std::string> of_environment;
  std::map<std::string, std::string> of_files;

  bool is_set(const std::string& name) const { return of_environment.contains(name) || of_files.contains(name); }
};

// `environment` has "NAME=value"; of several files that set a parameter the first counts. One that cannot be read sets
// nothing.
McaParameters read_mca_parameters(std::span<const std::string> environment,
                                  std::span<const std::filesystem::path> files);

// The files that mpirun reads: of the user whose home is in `environment`, then of the machine.
std::vector<std::filesystem::path> mca_files(std::span<const std::string> environment);

// This process's, as "NAME=value".
std::vector<std::string> own_environment();

}  // namespace equipoise::coordinator
