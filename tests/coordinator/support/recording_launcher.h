// A launcher that starts nothing and remembers what it was asked; the test says when an attempt ends.
#pragma once

#include <string>
#include <vector>

#include "common/base/error.h"
#include "coordinator/launch/launcher.h"

namespace equipoise::coordinator {

class RecordingLauncher final : public Launcher {
 public:
  void start(const LaunchRequest& request) override {
    if (!refusal.empty()) throw PeerError(refusal);
    started.push_back(request);
  }
  void terminate(const AttemptKey& attempt) override { terminated.push_back(attempt); }
  void kill(const AttemptKey& attempt) override { killed.push_back(attempt); }

  std::string refusal;
  std::vector<LaunchRequest> started;
  std::vector<AttemptKey> terminated;
  std::vector<AttemptKey> killed;
};

}  // namespace equipoise::coordinator
