// Hands what a rank's log warns of to people: the warnings become conditions of the job.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <mutex>
#include <string>

#include "worker/client/heartbeat.h"

namespace equipoise {

// For lines of level warning and above. `heartbeat` outlives the last line. May be used from several threads.
class WarningSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit WarningSink(Heartbeat& heartbeat) : heartbeat_(heartbeat) { set_level(spdlog::level::warn); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    heartbeat_.warn(std::string(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}

  Heartbeat& heartbeat_;
};

}  // namespace equipoise
