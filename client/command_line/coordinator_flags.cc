#include "client/command_line/coordinator_flags.h"

#include <stdexcept>

namespace equipoise {

void CoordinatorFlags::add_to(CLI::App& verb) {
  verb.add_option("--coordinator", address, "Where the coordinator listens")
      ->type_name("HOST:PORT")
      ->envname("EQUIPOISE_COORDINATOR");
  verb.add_option("--timeout", timeout_seconds, "How long to wait for it")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
}

Connection CoordinatorFlags::connect(const StopRequest& stop) const {
  if (address.empty()) {
    throw std::invalid_argument("which coordinator? --coordinator HOST:PORT or EQUIPOISE_COORDINATOR says it");
  }
  return Connection({address, std::chrono::seconds(timeout_seconds)}, stop);
}

}  // namespace equipoise
