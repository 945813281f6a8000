// What a rank does, for people: its heartbeats, the coordinator's reasons and the command line say it alike.
#pragma once

#include <string>

#include "equipoise/v1/training.pb.h"

namespace equipoise {

// "reading data"; "?" for a phase that this program does not know.
std::string phase_name(v1::RankPhase phase);

}  // namespace equipoise
