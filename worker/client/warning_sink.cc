#include "worker/client/warning_sink.h"

#include <string>

namespace equipoise {

WarningSink::WarningSink(Heartbeat& heartbeat) : heartbeat_(heartbeat) { set_level(spdlog::level::warn); }

void WarningSink::sink_it_(const spdlog::details::log_msg& message) {
  heartbeat_.warn(std::string(message.payload.data(), message.payload.size()));
}

}  // namespace equipoise
