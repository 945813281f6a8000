// The flags of every verb that talks to a coordinator.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "client/connection/connection.h"

namespace equipoise {

struct CoordinatorFlags {
  std::string address;
  int timeout_seconds = 10;

  // --coordinator HOST:PORT (or EQUIPOISE_COORDINATOR), --timeout SECONDS. `this` outlives `verb`.
  void add_to(CLI::App& verb);
  Connection connect(const StopRequest& stop = nullptr) const;
};

}  // namespace equipoise
